"""Command lines of all kinds: `python -m tests.chaos.fuzz COUNT FOLDER`, with a run in FOLDER/run.

COUNT for each command. Each is a fork of this process, in which TensorFlow is imported and its
runtime does not run, and does what `python -m MODULE FLAGS` does. What would read images, make
networks, ask again or start processes ends there. Prints a JSON line for each command line that
ended otherwise than with 0, or with 1 or 2 and one line; and for each command one with how often
each exit code came.
"""

import collections
import contextlib
import importlib
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import time
import traceback

import hypothesis
from absl import flags

from keras_sagan import commands, networks
from keras_sagan.data import builders, folder
from keras_sagan.data import prepared as prepare
from keras_sagan.errors import RunError
from keras_sagan.evaluation import scorer
from keras_sagan.runs import checkpoints
from keras_sagan.serving import archive
from keras_sagan.training.state import State
from tests.chaos.command_lines import REQUIRED, command_lines

# Seconds after which a command line counts as hanging.
SECONDS = 600
# Lines that are TensorFlow's and Abseil's.
NOTICE = re.compile(r"[IWE]\d{4} |WARNING: All log messages|Warning: Hit circular flagfile")


def reached(*arguments, **named):
    """In place of what takes long."""
    del arguments, named
    raise RunError("reached")


def shorten():
    """What takes long is not done; before it is all that looks at flags and files."""
    for owner, name in (
        (prepare, "write_arrays"),
        (builders, "build_set"),
        (folder, "list_images"),
        (networks, "generator"),
        (State, "create"),
        (checkpoints, "load_generator"),
        (scorer, "train_extractor"),
        (archive, "write_saved_model"),
        (time, "sleep"),
    ):
        setattr(owner, name, reached)


def play(module, line, log):
    """Does what `python -m MODULE LINE` does; returns exit code and output."""
    child = os.fork()
    if child == 0:
        for number in (1, 2):
            os.dup2(os.open(f"{log}{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        signal.alarm(SECONDS)
        sys.argv = [module.__file__, *line]
        code = 0
        try:
            commands.run(module.main, module.__doc__, module.__name__)
        except SystemExit as error:
            code = error.code
        except BaseException:
            traceback.print_exc()
            code = 99
        finally:
            sys.stdout.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, *(pathlib.Path(f"{log}{number}").read_text(errors="replace") for number in (1, 2))


def fault(code, out, err):
    """What is wrong with the end of a command line; None if nothing is."""
    lines = [line for line in err.splitlines() if not NOTICE.match(line)]
    if "Traceback" in err or code not in (0, 1, 2):
        return "traceback or other exit code"
    if code and not (lines and ": error: " in lines[-1]):
        return "no error"
    if code and sum(": error: " in line for line in lines) > 1:
        return "several lines"
    if code == 2 and (out or len(lines) > 1):
        return "more than a line"
    return None


def link_runs(line, place):
    """Gives the run the odd names that a command line has for it."""
    for flag in line:
        if flag.startswith("--run_dir=") and not flag.endswith("/"):
            with contextlib.suppress(OSError, ValueError):
                (place / "odd" / flag.rpartition("/")[2]).symlink_to(place / "run")


def fuzz_module(name, count, place):
    for each in set(flags.FLAGS) - {"flagfile", "undefok"}:
        delattr(flags.FLAGS, each)  # TensorFlow's, which a command imports when flags are parsed.
    module = importlib.import_module(name)
    shorten()
    os.chdir(place)
    os.environ["HOME"] = str(place / "odd")
    (place / "odd").symlink_to("real")
    codes = collections.Counter()

    @hypothesis.settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(command_lines(name, place))
    def fuzz(case):
        line, flag_file, config = case
        line = [each.replace("\0", "") for each in line]
        (place / "case.flags").write_bytes(flag_file)
        (place / "run" / "config.json").write_bytes(config)
        (place / "real").mkdir()
        link_runs(line, place)
        code, out, err = play(module, line, place / "log")
        codes[code] += 1
        for each in ("new", "data", "export", "runs", "report", "real"):
            shutil.rmtree(place / each, ignore_errors=True)
        if found := fault(code, out, err):
            told = {"fault": found, "code": code, "line": line, "out": out, "err": err[-3000:]}
            told |= {"flag_file": repr(flag_file[:300]), "config": repr(config[:2000])}
            sys.stdout.write(json.dumps(told) + "\n")

    fuzz()
    sys.stdout.write(json.dumps({"module": name, "codes": codes}) + "\n")


def main(count, folder):
    """Each module in a fork of its own: several define flags of the same names."""
    for name in REQUIRED:
        place = folder / name
        shutil.copytree(folder / "run", place / "run")
        child = os.fork()
        if child == 0:
            fuzz_module(name, count, place)
            sys.stdout.flush()
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"{name} was not tried to the end")


if __name__ == "__main__":
    main(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
