"""Runs whose numbers are not finite: they stop, or go back and on with other noise."""

import dataclasses
import json
import os
import shutil
import signal
import time

import pytest
import smallest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.errors import NotFinite
from keras_sagan.progress import Progress
from keras_sagan.runs.checkpoint_files import newest_checkpoint, step_of
from keras_sagan.runs.checkpoints import digest
from keras_sagan.sampling import noise
from keras_sagan.training import health
from keras_sagan.training.draws import Dealer
from keras_sagan.training.run import train
from keras_sagan.training.session import SAGAN

# Each time that a run goes back, its steps are traced again.
SETTINGS = (
    smallest.RUN | smallest.DCGAN | {"log_every": 5, "checkpoint_every": 5, "total_steps": 20}
)
SETTINGS |= {"keep_checkpoints": 9}
TIMES = ("seconds", "steps_per_s", "images_per_s")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data"))


def config(data_dir, **changes):
    return Config(**SETTINGS | {"data_dir": data_dir, "on_nan": "rollback"} | changes)


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def unlucky(self, step, purpose, draw=Dealer.draw):
    """The noise of step 13 is not a number, for a run that has not gone back yet."""
    draws = draw(self, step, purpose)
    rollbacks, _ = self.seed
    if not rollbacks and purpose == noise.G_STEP:
        return draws._replace(latents=tf.where(step == 12, float("nan"), draws.latents))
    return draws


@pytest.fixture(scope="module")
def straight(data_dir, tmp_path_factory):
    """A run that goes back once and comes to its end; its directory and what it said."""
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dealer, "draw", unlucky)
        patch.setattr(Progress, "say", lambda self, line: said.append(line))
        run = train(config(data_dir), tmp_path_factory.mktemp("straight"))
    return run, said


@pytest.mark.slow
def test_run_goes_back_to_its_newest_checkpoint_and_says_so(straight):
    run, said = straight
    found = rows(run.path / "train.jsonl")
    assert [row["step"] for row in found] == [5, 10, 10, 15, 20]
    _, before, back, after, _ = found
    assert set(back) == {"step", "seconds", "rollback", "bad_step", "bad"}
    assert (back["rollback"], back["bad_step"], back["bad"]) == (1, 13, "g_loss")
    assert before["seconds"] <= back["seconds"] <= after["seconds"]
    (line,) = [line for line in said if "expected finite" in line]
    assert line.startswith("warning: expected finite losses")
    assert (
        "g_loss=nan of the generator, first at step 13; rolled back to step 10 with other" in line
    )
    assert [row["step"] for row in rows(run.path / "scores.jsonl")] == [5, 10, 15, 20]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "lines"),
    [
        (10, 3),
        # The line is of a time that is to come again.
        (5, 5),
    ],
    ids=["after it went back", "before"],
)
def test_killed_run_comes_to_the_same_bits(straight, tmp_path, monkeypatch, step, lines):
    monkeypatch.setattr(Dealer, "draw", unlucky)
    run, _ = straight
    shutil.copytree(run.path, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").glob("step-*"):
        if step_of(path.name.partition(".")[0]) > step:
            path.unlink()
    text = (run.path / "train.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "train.jsonl").write_text("".join(text[:lines]) + '{"step": 15, "d_l')
    killed = train(run.read_config(), tmp_path / "run")
    assert killed.read_environment()["step"] == step
    for name in ("train.jsonl", "scores.jsonl"):
        ours, theirs = (
            [{key: row[key] for key in row if key not in TIMES} for row in rows(each.path / name)]
            for each in (killed, run)
        )
        assert ours == theirs
    assert digest(newest_checkpoint(killed.checkpoints)) == digest(
        newest_checkpoint(run.checkpoints)
    )


def failing(calls, save=True):
    """A method with one good step per attempt, after which numbers are not finite."""

    def make_call(training):
        state = training.state
        rates = [
            float(each.learning_rate.numpy()) for each in (state.g_optimizer, state.d_optimizer)
        ]
        calls.append((int(state.step.numpy()), rates, len(training.rollbacks)))

        good = iter([True])

        def call(num_steps):
            if next(good, False):
                state.step.assign_add(1)
                return {"d_loss": 1.0, "g_loss": 1.0}, [health.NEVER, health.NEVER]
            if save and len(calls) == 1:
                state.step.assign(5)
                state.g_optimizer.learning_rate = state.d_optimizer.learning_rate = 9.0
                training.checkpoints.save()
            state.step.assign(7)
            return {"d_loss": float("nan"), "g_loss": 1.0}, [7, health.NEVER]

        return call

    return dataclasses.replace(SAGAN, make_train_call=make_call, measures_xla=False)


def test_fourth_time_is_the_end(data_dir, tmp_path):
    calls, rates = [], [pytest.approx(1e-4), pytest.approx(4e-4)]
    with pytest.raises(NotFinite, match="d_loss=nan .*; the run has rolled back 3 times"):
        train(config(data_dir, steps_per_call=1), tmp_path, failing(calls))
    assert calls == [(0, rates, 0), *((5, rates, i) for i in (1, 2, 3))]
    found = rows(tmp_path / "train.jsonl")
    assert [(row["step"], row["rollback"]) for row in found] == [(5, 1), (5, 2), (5, 3)]
    seconds = [row["seconds"] for row in found]
    assert 0 < seconds[0] < seconds[1] < seconds[2]
    # Nor has a new process more tries.
    with pytest.raises(NotFinite, match="the run has rolled back 3 times"):
        train(config(data_dir, steps_per_call=1), tmp_path, failing(calls))
    assert calls[4:] == [(5, rates, 3)]


def test_signal_is_not_forgotten_by_a_rollback(data_dir, tmp_path):
    """It comes in the call whose numbers are not finite."""
    attempts = []

    def make_call(training):
        attempts.append(training.rollbacks)

        def call(num_steps):
            step = int(training.state.step.assign_add(num_steps))
            if step == 7 and len(attempts) == 1:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.2)  # A thread takes note of it.
                return {"d_loss": float("nan"), "g_loss": 1.0}, [7, health.NEVER]
            return {"d_loss": 1.0, "g_loss": 1.0}, [health.NEVER, health.NEVER]

        return call

    method = dataclasses.replace(SAGAN, make_train_call=make_call, measures_xla=False)
    run = train(config(data_dir, steps_per_call=1), tmp_path, method)
    assert attempts == [[], [5]]
    assert run.read_stop() == {"step": 6, "signal": "SIGTERM"}
    assert step_of(newest_checkpoint(run.checkpoints)) == 6


@pytest.mark.parametrize(
    ("on_nan", "save", "message"),
    [
        ("stop", True, "d_loss=nan of the discriminator, first at step 2$"),
        ("rollback", False, "there is no checkpoint to roll back to"),
    ],
)
def test_run_that_does_not_go_back_stops(data_dir, tmp_path, on_nan, save, message):
    with pytest.raises(NotFinite, match=message):
        train(config(data_dir, on_nan=on_nan, steps_per_call=1), tmp_path, failing([], save))
    assert not (tmp_path / "train.jsonl").exists()
