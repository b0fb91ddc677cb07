"""Whether attention looks at the place that the class of a texture makes equal to one's own.

python -m benchmarks.attention --run_dirs=RUN_0,RUN_1

Of runs on the set `symmetry` that differ in their seed: the share of attention that goes to the
counterpart (`metrics/counterpart.py`), for each attention layer of both networks, each class,
generated and real images, in the newest checkpoint and in the same networks before their first
step. Beside it stand the shares at the places that the three other classes would make equal, and
that of a map without preferences. Writes `results.jsonl`, a picture and the report to the report
folder.
"""

import json
import pathlib

from absl import flags

from benchmarks.report import render
from keras_sagan import commands
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import write_atomically
from keras_sagan.runs.directory import RunDirectory

flags.DEFINE_list("run_dirs", None, "Folders of runs. Required.")
flags.DEFINE_integer(
    "num_images", 256, "Images that are looked at, a quarter of each class.", lower_bound=4
)
flags.DEFINE_integer(
    "seed", 1, "Of the latents: another than a run's own.", lower_bound=0, upper_bound=2**31 - 1
)
flags.DEFINE_string("report_dir", "reports/attention", "Where the report goes.")


def main():
    given = flags.FLAGS
    runs = [RunDirectory(path) for path in commands.require("run_dirs")]
    configs = [run.read_config() for run in runs]
    for run, config in zip(runs, configs, strict=True):
        check(run, config)
    # TensorFlow takes seconds to import: not before the runs are known to be good.
    from benchmarks.attention_turn import figure, measure

    rows = []
    for run, config in zip(runs, configs, strict=True):
        rows += measure(run, config, given.num_images, given.seed)
    picture = figure(runs[0], configs[0], given.seed)
    folder = pathlib.Path(given.report_dir)
    try:
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        picture.savefig(folder / "samples" / "maps.png", dpi=130, metadata={"Software": None})
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error}") from error
    print(f"report: {render(folder)}")


def check(run, config):
    """Whether a run can answer the question.

    Raises:
        UsageError: if it cannot.
    """
    attends = config.attention_block == "attention" and config.g_attention_resolutions
    if not (config.is_symmetry and attends):
        raise UsageError(
            "expected runs on symmetry, with classes, whose generator has attention. "
            f"Received: run_dir={run.path}, dataset={config.dataset}, "
            f"num_classes={config.num_classes}, g_attention={config.g_attention}, "
            f"attention_block={config.attention_block}"
        )


if __name__ == "__main__":
    commands.run(main, __doc__)
