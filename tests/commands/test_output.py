"""Output without a reader, and Python's option -OO, which removes descriptions."""

import os
import shutil
import subprocess
import sys

import forks
import numpy as np
import pytest
from process import environment, is_notice, run

from keras_sagan import commands


@pytest.fixture
def features(tmp_path):
    """Flags of `evaluate`, which prints a short table of them."""
    for name in ("real", "fake"):
        np.savez(tmp_path / f"{name}.npz", features=np.random.default_rng(0).normal(size=(50, 4)))
    return [f"--{name}_features={tmp_path / name}.npz" for name in ("real", "fake")]


def run_unread(program, module, *flags, unread="stdout"):
    """The exit code, and what a command writes to its other stream, if nobody reads the one."""
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {unread: writer}
    command = [program, "-m", module, *flags]
    process = subprocess.Popen(command, **streams, text=True, env=environment())
    os.close(writer)
    out, err = process.communicate(timeout=600)
    lines = f"{out or ''}{err or ''}".splitlines()
    return process.returncode, [line for line in lines if not is_notice(line)]


def test_output_without_a_reader_is_quiet(features):
    assert run_unread(forks.executable(), "keras_sagan.evaluate", *features) == (141, [])


@pytest.mark.parametrize(
    ("program", "module"),
    [
        (sys.executable, "keras_sagan.client"),  # It fits in the buffer that Python writes last.
        (forks.executable(), "keras_sagan.train"),  # It does not.
        (forks.executable(), "benchmarks.compare"),
    ],
    ids=["client", "train", "compare"],  # Not paths, which differ between workers.
)
def test_help_without_a_reader_is_quiet(program, module):
    assert run_unread(program, module, "--help") == (141, [])


@pytest.fixture(scope="module")
def optimized():
    """A program that stands in for `python -OO`."""
    with forks.other_executable("-OO") as program:
        yield program


# What commands write to OUT, and what must exist in the end.
WORK = {
    "sample": ("--output=OUT/grid.png", "grid.png"),
    "explore": ("--output=OUT/attention.html", "attention.html"),
    "export": ("--export_dir=OUT", "20/saved_model.pb"),
    "train": ("--total_steps=21", "finished/checkpoints/step-21.index"),
}


@pytest.fixture
def work(request, finished, tmp_path):
    """A command and its flags, for a copy of a run, and the path it writes to."""
    run_dir = shutil.copytree(finished[0], tmp_path / "finished")
    flag, path = WORK[request.param]
    flags = [f"--run_dir={run_dir}", flag.replace("OUT", str(tmp_path))]
    return [f"keras_sagan.{request.param}", *flags], tmp_path / path


@pytest.mark.slow_except("sample")
@pytest.mark.parametrize("work", WORK, indirect=True)
def test_work_without_a_reader_is_done_and_quiet(work):
    command, path = work
    code, lines = run_unread(forks.executable(), *command)
    assert code == 141
    assert not [line for line in lines if "Error" in line]
    assert path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("work", WORK, indirect=True)
def test_work_without_docstrings_and_assertions_is_done(work, optimized):
    command, path = work
    options = {"capture_output": True, "text": True, "env": environment()}
    result = subprocess.run([optimized, "-m", *command], check=False, **options)
    assert result.returncode == 0, result.stderr
    assert path.exists()


def test_errors_without_a_reader_keep_their_exit_code():
    program, module = forks.executable(), "keras_sagan.sample"
    assert run_unread(program, module, unread="stderr") == (2, [])
    assert run_unread(program, module)[0] == 2
    assert run_unread(program, module, "--help", unread="stderr")[0] == 0


def test_broken_pipe_of_something_else_is_no_reader_that_left(monkeypatch):
    def main():
        raise BrokenPipeError("another pipe")

    monkeypatch.setattr(commands, "call_main", lambda *_: main())
    monkeypatch.setattr(commands, "ending_signals", list)
    with open(os.devnull, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(BrokenPipeError, match="another pipe"):
            commands.run(main, "")


@pytest.mark.slow_except("keras_sagan.sample")
@pytest.mark.parametrize(
    "module",
    ["keras_sagan.sample", "keras_sagan.client", "keras_sagan.doctor", "benchmarks.render"],
)
def test_help_works_without_docstrings(module):
    result = subprocess.run(
        [sys.executable, "-OO", "-m", module, "--help"],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Python's option -OO removes the description.\n")
    assert "\nCommand:\n  --" in result.stdout


def test_help_begins_with_the_description():
    assert run("sample", "--help")[1].startswith("Draws generated images")
