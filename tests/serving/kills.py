"""Exports that are killed while they write: `python kills.py RUN EXPORT_DIR COUNT`.

TensorFlow is imported once, and each export is a fork of that: its runtime starts in the fork. The
moments are random, from when the first file appears until a little after an export has ended; of
four, one is at once and one when the version is there, however fast the machine is then.
Prints a JSON line after each kill: whether the version is there, how many folders are unfinished,
and all files of all versions.
"""

import json
import os
import pathlib
import random
import signal
import sys
import time

from keras_sagan.files import UNFINISHED
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.serving.archive import Settings, export_run
from keras_sagan.values import CheckpointChoice

NEWEST = CheckpointChoice.parse("newest")


def main(run_dir, export_dir, count):
    run, export_dir = RunDirectory(run_dir), pathlib.Path(export_dir)
    numbers = random.Random(0)
    first = start(run, export_dir, 1)
    begun = wait_for_writing(export_dir)
    os.waitpid(first, 0)
    seconds = time.monotonic() - begun
    for version in range(2, count + 2):
        before = set(export_dir.glob(UNFINISHED + "*"))
        child = start(run, export_dir, version)
        wait_for_writing(export_dir, before)
        moment = numbers.uniform(0, 1.3 * seconds)
        if version % 4 == 0:
            wait_for_version(export_dir / str(version))
        elif version % 4 != 1:
            time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        report = {
            "there": (export_dir / str(version)).exists(),
            "unfinished": len(list(export_dir.glob(UNFINISHED + "*"))),
            "files": visible(export_dir),
        }
        sys.stdout.write(json.dumps(report) + "\n")


def start(run, export_dir, version):
    """The id of a process that exports."""
    child = os.fork()
    if child == 0:
        settings = Settings(export_dir, "saved_model", NEWEST, True, version, "sagan")
        export_run(run, run.read_config(), settings)
        os._exit(0)
    return child


def wait_for_writing(export_dir, before=frozenset()):
    """Until there is a temporary folder besides those of before; returns the moment."""
    while not set(export_dir.glob(UNFINISHED + "*")) - before:
        time.sleep(0.001)
    return time.monotonic()


def wait_for_version(path):
    while not path.exists():
        time.sleep(0.001)


def visible(export_dir):
    """Sizes of the files of each version that a server would take, by name."""
    return {
        folder.name: {
            str(path.relative_to(folder)): path.stat().st_size
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in export_dir.iterdir()
        if folder.name.isdecimal()
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
