"""Runs that a signal stops: with a checkpoint, and as if nothing had happened when they go on."""

import json
import os
import pty
import select
import signal
import subprocess
import sys

import forks
import pytest
from process import SIMPLE, environment, flags, losses_of, rows, run, start, train, wait_for

from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest

# One step a call, and seconds between two checkpoints, so that signals come between them.
MORE = [*SIMPLE, "--steps_per_call=1", "--log_every=40", "--checkpoint_every=75"]
MORE += ["--sample_every=1000", "--keep_checkpoints=2", "--total_steps=400"]


def names(run_dir):
    return {path.name for path in (run_dir / "checkpoints").iterdir()}


@pytest.fixture(scope="module")
def straight(tmp_path_factory, data_dir):
    """A run that nobody stops."""
    run_dir = tmp_path_factory.mktemp("runs") / "straight"
    train(run_dir, data_dir, *MORE)
    return run_dir


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGUSR1", marks=pytest.mark.slow)])
def test_stopped_run_goes_on_as_if_it_had_not_been(name, straight, tmp_path, data_dir):
    stopped = tmp_path / "stopped"
    process = start("train", *flags(stopped, data_dir, *MORE))
    wait_for(stopped / "train.jsonl", process)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    step = json.loads((stopped / "stop.json").read_text())["step"]
    assert out == (
        f"{name}: stopped at step {step} with a checkpoint in {stopped}; the same command "
        "resumes from there\n"
    )
    assert f"{name}: stopping after this call" in err
    resume(stopped, straight, data_dir)


@pytest.mark.slow
def test_closed_terminal_leaves_a_checkpoint(straight, tmp_path, data_dir):
    """Nothing can be written to it any more, neither progress nor how the run ended."""
    stopped = tmp_path / "stopped"
    master, terminal = pty.openpty()
    command = [forks.executable(), "-m", "keras_sagan.train", *flags(stopped, data_dir, *MORE)]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment()
    )
    os.close(terminal)
    while not (stopped / "train.jsonl").exists():
        assert process.poll() is None
        if select.select([master], [], [], 0.02)[0]:
            os.read(master, 4096)
    os.close(master)
    for _ in range(2):  # The system sends it, and so does the shell.
        process.send_signal(signal.SIGHUP)
    assert process.wait(120) == 128 + signal.SIGPIPE
    assert json.loads((stopped / "stop.json").read_text())["signal"] == "SIGHUP"
    resume(stopped, straight, data_dir)


def resume(stopped, straight, data_dir):
    """Resumes a run that a signal stopped, and compares it with one that nobody stopped."""
    step = json.loads((stopped / "stop.json").read_text())["step"]
    assert 40 <= step < 400
    assert f"step-{step}.index" in names(stopped)
    assert rows(stopped / "train.jsonl")[-1]["step"] == step // 40 * 40
    out, _ = train(stopped, data_dir, *MORE)
    assert out.startswith("trained to step 400: ")
    assert json.loads((stopped / "environment.json").read_text())["step"] == step
    assert names(stopped) == names(straight)
    assert not (stopped / "stop.json").exists()
    assert losses_of(stopped) == losses_of(straight)
    seconds = [row["seconds"] for row in rows(stopped / "train.jsonl")]
    assert seconds == sorted(seconds)
    assert digest(newest_checkpoint(stopped / "checkpoints")) == digest(
        newest_checkpoint(straight / "checkpoints")
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_before_training_a_signal_ends_it_at_once(number, tmp_path, data_dir):
    process = start("train", *flags(tmp_path, data_dir, "--total_steps=200"))
    wait_for(tmp_path / "lock", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err.splitlines()[-1].endswith("error: terminated")
    assert not (tmp_path / "checkpoints").exists()
    assert run("train", "--check", f"--run_dir={tmp_path}")[0] == 2


SWALLOWED = """
import os, signal, time
from keras_sagan import commands

class Odd:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

def main():
    Odd()
    time.sleep(600)

commands.GRACE = 0.5
commands.run(main, "", "none")
"""


def test_a_signal_whose_exception_python_drops_ends_the_process():
    process = subprocess.run(
        [sys.executable, "-c", SWALLOWED], capture_output=True, text=True, check=False
    )
    assert process.returncode == 143
    assert "error: terminated" in process.stderr
