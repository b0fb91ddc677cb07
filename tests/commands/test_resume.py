"""Runs that are stopped, killed or damaged, and what their checkpoints hold."""

import json
import re
import signal

import pytest
import tensorflow as tf
from process import SIMPLE, assert_one_line, flags, losses_of, rows, run, start, train, wait_for

from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest


@pytest.mark.slow
def test_checkpoints_hold_every_variable_and_keep_the_newest_and_the_best(tmp_path, data_dir):
    train(tmp_path, data_dir, "--total_steps=8", "--checkpoint_every=2", "--keep_checkpoints=2")
    steps = sorted(path.stem for path in (tmp_path / "checkpoints").glob("*.index"))
    assert steps == ["step-6", "step-8"]
    scores = rows(tmp_path / "scores.jsonl")
    best = min(scores, key=lambda row: row["thumbnail_fd512"])["step"]
    kept = [path.stem for path in (tmp_path / "checkpoints" / "best").glob("*.index")]
    assert kept == [f"step-{best}"]
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "checkpoints" / "step-8"))]
    parts = {name.split("/")[0] for name in names}
    assert parts >= {"generator", "discriminator", "ema_generator", "g_optimizer", "d_optimizer"}


@pytest.mark.slow
def test_killed_run_resumes_to_the_same_bits(finished, tmp_path, data_dir):
    """20 steps; and 10 steps, kill -9, the same command again."""
    straight, _ = finished
    kill_and_resume(tmp_path, data_dir)
    assert digest_of(tmp_path) == digest_of(straight)
    assert losses_of(tmp_path) == losses_of(straight)
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["step"] == 10
    assert [start["step"] for start in environment["earlier"]] == [0]


def digest_of(run_dir):
    return digest(newest_checkpoint(run_dir / "checkpoints"))


def kill_and_resume(run_dir, data_dir):
    """Kills a long run once it has its first checkpoint, and goes back to that one."""
    long = ["--total_steps=100000", "--keep_checkpoints=1000"]
    process = start("train", *flags(run_dir, data_dir, *long))
    try:
        wait_for(run_dir / "checkpoints" / "checkpoint", process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    for path in (run_dir / "checkpoints").iterdir():
        if path.is_file() and not path.name.startswith("step-10."):
            path.unlink()  # The list too: it is made anew.
    with (run_dir / "train.jsonl").open("a") as file:
        file.write('{"step": 15, "d_loss": 1}\n{"step": 1')  # As a kill may leave it.
    train(run_dir, data_dir, "--total_steps=20")


def test_finished_run_started_again_has_nothing_to_do(finished, data_dir):
    run_dir, _ = finished
    files = list((run_dir / "checkpoints").iterdir())
    before = [(path, path.stat().st_mtime_ns) for path in files]
    train(run_dir, data_dir, "--total_steps=20")
    assert [(path, path.stat().st_mtime_ns) for path in files] == before
    result = run("train", *flags(run_dir, data_dir, "--total_steps=10"))
    assert_one_line(result, 2, "total_steps must be at least 20", "Received: 10")


@pytest.mark.slow
def test_broken_checkpoint_is_found_and_the_one_before_taken(tmp_path, data_dir):
    train(tmp_path, data_dir, *SIMPLE, "--total_steps=2", "--checkpoint_every=1")
    break_data(tmp_path, 2)
    code, out, err = run("train", "--check", f"--run_dir={tmp_path}")
    assert code == 1
    assert f"checkpoint: {tmp_path}/checkpoints/step-1 is complete and finite" in out
    assert f"checkpoint: {tmp_path}/checkpoints/step-2 is bad" in out
    assert "step-2 cannot be read" in err.splitlines()[-1]
    assert "step-1 " not in err
    _, err = train(tmp_path, data_dir, *SIMPLE, "--total_steps=2")
    assert re.search(r"^warning: .*step-2 cannot be read: .*; resuming from .*step-1$", err, re.M)
    for step in (1, 2):
        break_data(tmp_path, step)
    code, _, err = run("train", *flags(tmp_path, data_dir, *SIMPLE, "--total_steps=3"))
    assert code == 1
    assert "step-2 cannot be read" in err.splitlines()[-1]
    assert "Traceback" not in err


def break_data(run_dir, step):
    (path,) = (run_dir / "checkpoints").glob(f"step-{step}.data*")
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.slow
def test_two_replicas_with_xla_train_from_the_command_line(tmp_path, data_dir):
    train(tmp_path, data_dir, *SIMPLE, "--total_steps=2", "--replicas=2", "--jit_compile=on")
    devices = json.loads((tmp_path / "environment.json").read_text())["devices"]
    assert len(devices) == 2


def test_a_run_resumes_by_its_own_configuration(tmp_path, data_dir):
    """Only what is given again is compared."""
    train(tmp_path, data_dir, *SIMPLE, "--total_steps=1", "--d_lr=0.5")
    place = f"--run_dir={tmp_path}"
    code, out, err = run("train", place, "--total_steps=2")
    assert (code, out[:15]) == (0, "trained to step"), err
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["d_lr"], config["model"], config["total_steps"]) == (0.5, "dcgan", 2)
    result = run("train", place, "--d_lr=0.25", "--seed=0")
    assert_one_line(result, 2, "another configuration: d_lr=0.5 -> 0.25. Use")
    (tmp_path / "a.flags").write_text("--g_lr=0.25\n")
    result = run("train", place, f"--flagfile={tmp_path / 'a.flags'}")
    assert_one_line(result, 2, "another configuration: g_lr=0.0001 -> 0.25. Use")


@pytest.mark.slow
def test_deterministic_operations_change_nothing_on_cpus(tmp_path, data_dir):
    digests = []
    for name, more in (("plain", ()), ("deterministic", ("--deterministic",))):
        train(tmp_path / name, data_dir, *SIMPLE, "--total_steps=4", *more)
        digests.append(digest_of(tmp_path / name))
    assert digests[0] == digests[1]
    starts = [
        json.loads((tmp_path / name / "environment.json").read_text())["deterministic"]
        for name in ("plain", "deterministic")
    ]
    assert starts == [False, True]
