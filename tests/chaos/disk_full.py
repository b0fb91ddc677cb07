"""Runs on a disk that is full: `unshare --map-root-user --mount python disk_full.py FOLDER EVERY`.

A run directory on a tmpfs, which is full from some moment on, or of which so many pages are left:
0, EVERY, 2 EVERY, and so on until a run comes to its end. There are new runs, resumed ones, and
those that a signal stops. Steps are counted and not computed; all that is written is. Prints a JSON
line for each run.
"""

import dataclasses
import functools
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import tensorflow as tf
from kill import NOTED, Mark

from keras_sagan.config import Config
from keras_sagan.errors import RunError
from keras_sagan.runs.checkpoints import Checkpoints
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training import health, session
from keras_sagan.training import run as training
from keras_sagan.training import state as networks_state
from keras_sagan.training.session import SAGAN
from keras_sagan.training.state import State

# Bytes; pages of the disk.
PAGE, PAGES = 4096, 512
CONFIG = {
    "image_size": 16,
    "image_channels": 1,
    "z_dim": 4,
    "g_channels": 2,
    "d_channels": 2,
    "batch_size": 4,
    "steps_per_call": 5,
    "log_every": 1,
    "sample_every": 10,
    "checkpoint_every": 10,
    "keep_checkpoints": 2,
}
# Steps of the run that is resumed, of each run in all, and at which the signal comes.
BEFORE, TOTAL, STOP = 30, 50, 45
KINDS = ("new", "resumed", "stopped")
# Kinds of runs, and what they are at when the disk becomes full.
MOMENTS = (
    ("new", "config.json"),
    ("new", "environment.json"),
    ("new", "record"),
    ("new", "score"),
    ("new", "best checkpoint"),
    ("new", "seal"),
    ("new", "list"),
    ("new", "checkpoint"),
    ("new", "grid"),
    ("resumed", "record"),  # It has room in a page, until TensorBoard's has none.
    ("resumed", "seal"),
    ("stopped", "stop.json"),
)


def make_counted(signal_at):
    """In place of `make_train_call`: steps without arithmetic, of which one sends a signal."""

    def train(iterator, step, num_steps):
        del iterator
        step.assign_add(int(num_steps))
        if int(step.numpy()) == signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)  # A thread takes note of it.
        return {"d_loss": 1.0, "g_loss": 2.0}, tf.fill([2], health.NEVER)

    return lambda strategy, game: train


class Disk:
    """A tmpfs, and what fills it."""

    def __init__(self, path):
        self.path, self.ballast = path, path / "ballast"
        path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={PAGE * PAGES}", "tmpfs", str(path)]
        subprocess.run(command, check=True)

    def leave(self, pages):
        """Fills it up to so many free pages."""
        self.ballast.unlink(missing_ok=True)
        fill = os.statvfs(self.path).f_bavail - pages
        with self.ballast.open("wb") as file:
            if fill > 0:
                os.posix_fallocate(file.fileno(), 0, fill * PAGE)


def play(config, run, state):
    """Trains; returns what went wrong, "" if nothing did."""

    def create(strategy, config):
        del strategy, config
        state.step.assign(0)
        return state

    try:
        training.train(config, run.path, dataclasses.replace(SAGAN, create_state=create))
    except RunError as error:
        return str(error)
    return ""


def play_full(disk, config, state, mark, kind, pages, before):
    """One run with so many free pages, and then the same run with more.

    `pages` may be a phase: none is left from its beginning on.
    """
    run = RunDirectory(disk.path / "run")
    disk.ballast.unlink(missing_ok=True)
    shutil.rmtree(run.path, ignore_errors=True)
    if kind != "new":
        shutil.copytree(before, run.path)
    session.make_train_call = make_counted(STOP if kind == "stopped" else None)
    mark.at("start")
    if isinstance(pages, int):
        disk.leave(pages)
    else:
        mark.before = lambda phase: phase == pages and disk.leave(0)
    error, phase = play(config, run, state), mark.read()[0]
    mark.before = lambda phase: None
    disk.ballast.unlink()
    state.step.assign(0)
    checkpoints = Checkpoints(run.checkpoints, state, config.keep_checkpoints)
    restored = checkpoints.restore()
    session.make_train_call = make_counted(None)
    again = play(config, run, state)
    return {
        "kind": kind,
        "pages": pages,
        "phase": phase,
        "error": error,
        "restored": restored.step,
        "warnings": restored.warnings,
        "again": again,
        "records": [json.loads(line)["step"] for line in lines(run, "train.jsonl")],
        "scores": [json.loads(line)["step"] for line in lines(run, "scores.jsonl")],
        "files": sorted(path.name for path in run.path.rglob("*") if path.suffix != ".v2"),
    }


def lines(run, name):
    return (run.path / name).read_text().splitlines()


def main(folder, every):
    mark = Mark()
    for noted in NOTED:
        mark.note(*noted)
    # What does not write and takes time is done once.
    training.costs = functools.cache(training.costs)
    networks_state.make_sampler = functools.cache(networks_state.make_sampler)
    config = Config(**CONFIG, data_dir=str(folder / "data"), num_classes=10, total_steps=TOTAL)
    state = State.create(config)
    disk, before = Disk(folder / "disk"), folder / "before"
    session.make_train_call = make_counted(None)
    play(dataclasses.replace(config, total_steps=BEFORE), RunDirectory(before), state)

    def report(kind, pages):
        told = play_full(disk, config, state, mark, kind, pages, before)
        sys.stdout.write(json.dumps(told) + "\n")
        return told["error"]

    for moment in MOMENTS:
        report(*moment)
    for kind in KINDS:
        pages = itertools.count(0, every)
        while report(kind, next(pages)):
            pass


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
