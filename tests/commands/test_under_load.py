"""Commands at the same time: on one set of images, and on a run that is being trained."""

import contextlib
import json
import os
import re

import forks
import numpy as np
import pytest
from PIL import Image
from process import SIMPLE, TINY, flags, rows, start, wait_for

from keras_sagan.data.prepared import Prepared

# A checkpoint every few milliseconds; only one is kept.
FAST = ["--checkpoint_every=1", "--keep_checkpoints=1", "--log_every=1000", "--eval_every=100000"]
FAST += ["--steps_per_call=1", "--total_steps=1000000"]
# Python imports this first; it imitates a file system without locks.
NO_LOCKS = """
import errno, fcntl

def refuse(*_):
    raise OSError(errno.ENOLCK, "no locks")

fcntl.flock = fcntl.lockf = refuse
"""


@pytest.fixture
def photos(tmp_path):
    """A folder that takes a moment to prepare."""
    draw = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(60):
            image = Image.fromarray(draw.integers(0, 256, (300, 300, 3), np.uint8))
            image.save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def finish(processes):
    """The standard errors of processes that end with exit code 0."""
    errors = []
    for process in processes:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        errors.append(err)
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("locks", ["system", "files"])
def test_trainers_and_preparations_at_once_make_one_set(locks, photos, tmp_path):
    executable = contextlib.nullcontext(forks.executable())
    if locks == "files":
        (tmp_path / "sitecustomize.py").write_text(NO_LOCKS)
        variables = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
        executable = forks.other_executable(**variables)
    data_dir, given = tmp_path / "data", [f"--dataset=folder:{photos}", "--total_steps=1"]
    runs = [tmp_path / "a", tmp_path / "b"]
    commands = [["train", *flags(run, data_dir, *SIMPLE, *given)] for run in runs]
    commands += [["prepare", f"--data_dir={data_dir}", given[0], *TINY]] * 2
    with executable as python:
        finish([start(*command, python=python) for command in commands])
    (found,) = [path for path in (data_dir / "prepared").iterdir() if path.is_dir()]
    Prepared(found).verify()
    for run in runs:
        data = json.loads((run / "environment.json").read_text())["data"]
        assert (data["count"], data["sha256"]) == (120, Prepared(found).record["sha256"])
    assert not list(tmp_path.rglob("*.held"))


@pytest.fixture(scope="module")
def training(tmp_path_factory, classified):
    """The folder of a run that trains and writes checkpoints as fast as it can."""
    run_dir = tmp_path_factory.mktemp("training") / "run"
    process = start("train", *flags(run_dir, classified, *FAST))
    try:
        wait_for(run_dir / "checkpoints" / "checkpoint", process)
        yield run_dir
        assert process.poll() is None, process.communicate()
    finally:
        process.kill()
        process.communicate()


COMMANDS = {
    "sample": ["--output=OUT/grid.png"],
    "sample page": ["--output=OUT/page.html"],
    "explore": ["--output=OUT/attention.html"],
    "explore all": ["--output=OUT/attention.html", "--checkpoint=all"],
    "export": ["--export_dir=OUT/exports"],
    "export weights": ["--export_dir=OUT/exports", "--format=keras"],
    "evaluate": ["--num_samples=300"],
    "evaluate all": ["--num_samples=300", "--checkpoint=all"],
}
# The others read a run as one of these does.
ALONE = ("sample page", "explore all", "export", "evaluate", "evaluate all")


@pytest.mark.slow
def test_a_run_is_read_by_every_command_while_it_is_trained(training, tmp_path):
    steps = []
    for name in ALONE:
        given = [flag.replace("OUT", str(tmp_path / name)) for flag in COMMANDS[name]]
        process = start(name.split()[0], f"--run_dir={training}", *given)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        assert "cannot be read" not in err
        steps.append(int(re.search(r"step (\d+)", out).group(1)))
    assert sorted(set(steps)) == steps  # Each command read a newer checkpoint.
    scored = {row["step"] for row in rows(training / "metrics.jsonl")}
    assert scored == set(steps[-2:])


@pytest.mark.slow
def test_all_commands_at_once_do_not_disturb_each_other_or_the_training(training, tmp_path):
    processes, metrics = [], training / "metrics.jsonl"
    before = len(rows(metrics)) if metrics.exists() else 0
    for name, given in COMMANDS.items():
        given = [flag.replace("OUT", str(tmp_path / name)) for flag in given]
        processes.append(start(name.split()[0], f"--run_dir={training}", *given))
    for err in finish(processes):
        assert "cannot be read" not in err
    lines = rows(metrics)[before:]
    assert len(lines) % 2 == 0
    assert {row["metric"] for row in lines[: len(lines) // 2]} == {row["metric"] for row in lines}
