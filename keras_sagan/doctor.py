"""Reports versions, devices, settings and folders, and lists what will not work.

python -m keras_sagan.doctor --run_dir=runs/digits --data_dir=data

Prints one page, which can be pasted into a bug report. In each folder, or in its nearest parent
that exists, it tries what training needs, and removes what it wrote. The exit code is 0 if there
are no problems, and 1 otherwise.
"""

import sys
from collections.abc import Callable, Iterator

from absl import flags

from keras_sagan import commands
from keras_sagan.config import Config
from keras_sagan.diagnosis import folders, keras_settings, system, tensorflow_section
from keras_sagan.diagnosis.section import Section, examine, format_problems, format_section

flags.DEFINE_string("run_dir", "runs", "Folder of runs that will be trained.")
flags.DEFINE_string("data_dir", Config.data_dir, "Folder of the prepared data.")

EXAMINATIONS = {
    "Versions": system.examine_versions,
    "Machine": system.examine_machine,
    "Locale": system.examine_locale,
    "Environment variables": system.examine_variables,
    "Keras": keras_settings.examine_keras,
    "TensorFlow": tensorflow_section.examine_tensorflow,
}
# What fails in a folder that cannot be used, by its flag.
PURPOSES = {
    "run_dir": "training cannot write its checkpoints and records here",
    "data_dir": "training cannot prepare data here",
}


def main():
    problems = []
    for title, function, arguments in list_examinations():
        section = examine(title, function, *arguments)
        print(f"{format_section(section)}\n", flush=True)
        problems += section.problems
    print(format_problems(problems), flush=True)
    if problems:
        sys.exit(1)


def list_examinations() -> Iterator[tuple[str, Callable[..., Section], tuple]]:
    """Title, function and arguments of each section of the page."""
    for title, function in EXAMINATIONS.items():
        yield title, function, ()
    for flag, purpose in PURPOSES.items():
        path = getattr(flags.FLAGS, flag)
        yield f"--{flag}={path}", folders.examine_folder, (flag, path, purpose)


if __name__ == "__main__":
    commands.run(main, __doc__, check=False)
