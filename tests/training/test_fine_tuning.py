"""Runs that start with the weights of others, and of which some blocks stay as they were."""

import dataclasses
import shutil

import numpy as np
import pytest
import smallest
import tensorflow as tf
from sources import make_source, values
from test_game import ONE, RATE, SIMPLE, Match
from test_rollback import failing

import keras_sagan as ks
from keras_sagan.config import Config
from keras_sagan.errors import NotFinite, RunError, UsageError
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import Checkpoints, digest
from keras_sagan.runs.presets import read_preset, save_preset
from keras_sagan.training.run import train
from keras_sagan.training.session import SAGAN as METHOD
from keras_sagan.training.state import State

FIELDS = smallest.RUN | smallest.DCGAN | {"num_classes": 10, "total_steps": 2}
SOURCE = Config(**FIELDS | {"num_classes": 4})


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Of a run on the digits that starts with a run of four classes, by its relative path."""
    make_source(tmp_path / "source", SOURCE)
    monkeypatch.chdir(tmp_path)
    return Config(**FIELDS, data_dir="data", init_from="source")


def at_start(found):
    """A method that keeps the values with which training starts."""

    def make_call(training):
        found.append(values(training.state))
        return METHOD.make_train_call(training)

    return dataclasses.replace(METHOD, make_train_call=make_call)


def test_a_run_starts_with_its_source_and_resumes_without_it(config, tmp_path, capfd):
    found = []
    run = train(dataclasses.replace(config, total_steps=1), "run", at_start(found))
    _, theirs = make_source(tmp_path / "again", SOURCE)
    new = [name for name in theirs if not np.array_equal(found[0][name], theirs[name])]
    assert len(new) == 9  # Tables of two norms in each of two generators, and the embedding.
    line = f"note: starts with the weights of step 7 of {tmp_path / 'source'}; 5 variables that"
    assert capfd.readouterr().err.count(line) == 1
    record = run.read_environment()["init_from"]
    assert len(record.pop("sha256")) == 64
    assert record == {
        "source": str(tmp_path / "source"),
        "step": 7,
        "relative_path": "../source",
        "new_variables": 5,
    }
    assert run.read_config().init_from == str(tmp_path / "source")
    shutil.rmtree("source")
    for i, path in enumerate(("source", str(tmp_path / "source")), start=2):
        again = train(dataclasses.replace(config, init_from=path, total_steps=i), "run")
        assert again.read_environment()["init_from"]["step"] == 7
        assert again.read_environment()["step"] == i - 1
    assert "starts with the weights" not in capfd.readouterr().err
    with pytest.raises(UsageError, match=f"init_from={tmp_path / 'source'} -> ; freeze_d|-> . Use"):
        train(dataclasses.replace(config, init_from=""), "run")


def test_a_bad_source_leaves_no_folder(config, tmp_path):
    bad = dataclasses.replace(config, g_channels=3)
    with pytest.raises(UsageError, match="needs g_channels=2. Received: g_channels=3"):
        train(bad, "run")
    with pytest.raises(UsageError, match="init_from=nowhere: expected a run directory"):
        train(dataclasses.replace(config, init_from="nowhere"), "run")
    with pytest.raises(UsageError, match="must be another run than run_dir"):
        train(config, "source/../source/.")
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


@pytest.mark.slow
def test_a_run_without_a_checkpoint_starts_from_its_source_again(config, tmp_path):
    """Non-finite numbers have ended it, with no checkpoint to roll back to."""
    config = dataclasses.replace(config, on_nan="rollback", steps_per_call=1)
    with pytest.raises(NotFinite, match="there is no checkpoint to roll back to"):
        train(config, "run", failing([], save=False))
    assert (tmp_path / "run" / "config.json").exists()
    found = []
    train(config, "run", at_start(found))
    train(config, "another", at_start(found))
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name])
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    shutil.rmtree("source")
    with pytest.raises(UsageError, match="source: expected a run directory"):
        train(config, "run")


@pytest.mark.slow
def test_a_restore_at_step_0_reads_the_source_again(config, tmp_path, monkeypatch):
    """Whatever training has made of the state until then."""
    from keras_sagan.training import run as run_module

    found, restore = [], run_module.restore_newest

    def restore_twice(training):
        restore(training)
        for variable in training.state.generator.variables:
            variable.assign(tf.zeros_like(variable))
        restored = restore(training)
        found.append(values(training.state))
        return restored

    monkeypatch.setattr(run_module, "restore_newest", restore_twice)
    train(dataclasses.replace(config, total_steps=1), "run", at_start(found))
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name])
    assert any(found[0][name].any() for name in found[0])


def test_a_damaged_source_fails_before_the_run_is_claimed(config, tmp_path):
    index = tmp_path / "source" / "checkpoints" / "step-7.index"
    index.write_bytes(index.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"step-7 cannot be read: step-7.index has changed$"):
        train(config, "run")
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["dcgan", "sagan"])
def test_two_starts_with_frozen_blocks_make_what_one_makes(model, tmp_path):
    fields = smallest.RUN | (smallest.DCGAN if model == "dcgan" else {})
    fields |= {"num_classes": 10, "data_dir": str(tmp_path / "data")}
    source, theirs = make_source(tmp_path / "source", Config(**fields))
    config = Config(**fields, total_steps=4, seed=1, init_from=str(source.path), freeze_d=1)
    straight = train(config, tmp_path / "straight")
    train(dataclasses.replace(config, total_steps=2), tmp_path / "stopped")
    shutil.rmtree(source.path)
    stopped = train(config, tmp_path / "stopped")
    sums = [digest(newest_checkpoint(run.checkpoints)) for run in (straight, stopped)]
    assert sums[0] == sums[1]
    state = State.create(stopped.read_config())
    Checkpoints(stopped.checkpoints, state, 3).restore()
    first = "block_8/" if model == "sagan" else "conv_8/"
    attention = "attention_8/"
    same = {name for name, value in values(state).items() if np.array_equal(value, theirs[name])}
    frozen = {name for name in theirs if first in name or attention in name}
    frozen = {name for name in frozen if name.startswith("discriminator")}
    assert same == frozen
    assert len(frozen) >= 2
    for name, value in values(ks.SAGAN.from_run(stopped.path, "newest").state).items():
        np.testing.assert_array_equal(value, values(state)[name])
    preset = save_preset(stopped.path, tmp_path / "preset", description="", license="")
    elsewhere = read_preset(preset)[1]
    assert (elsewhere.init_from, elsewhere.freeze_d) == ("", 0)


def test_frozen_blocks_have_neither_gradients_nor_slots():
    fields = {"image_size": 16, "image_channels": 1, "num_classes": 3, "z_dim": 6}
    fields |= {"g_channels": 4, "d_channels": 4, "batch_size": 8, "ema_start": 0}
    config = Config(**fields, init_from="preset:digits", freeze_d=2)
    free, frozen = State.create(dataclasses.replace(config, freeze_d=0)), State.create(config)
    kept = [v for v in frozen.discriminator.variables if "/block_" in v.path or "/att" in v.path]
    assert len(kept) > 10
    trained = len(frozen.discriminator.trainable_variables)
    lost = sum(variable.name != "vector_u" for variable in kept)
    assert trained == len(free.discriminator.trainable_variables) - lost
    assert len(free.d_optimizer.variables) - len(frozen.d_optimizer.variables) == 2 * lost


@pytest.mark.parametrize("replicas", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_other_weights_learn_as_if_none_were_frozen(replicas, two_replicas):
    """The first block of a DCGAN computes the same when it is frozen."""
    strategy, matches = {1: ONE, 2: two_replicas}[replicas], []
    start = None
    for count in (0, 1):
        config = dataclasses.replace(SIMPLE, init_from="preset:digits", freeze_d=count)
        match = Match(config, strategy)
        start = start or values(match.state)
        for name in ("generator", "discriminator", "ema_generator"):
            for variable in getattr(match.state, name).variables:
                variable.assign(start[f"{name}: {variable.path}"])
        numbers = match.play()
        matches.append((values(match.state), numbers))
    (free, numbers), (frozen, others) = matches
    squares = 0.0
    for name in (name for name in start if name.startswith("discriminator")):
        if "/conv_8/" in name:
            np.testing.assert_array_equal(frozen[name], start[name])
            assert not np.array_equal(free[name], start[name])
            continue
        if "moving" not in name:  # These see fakes once more when the other block has learned.
            np.testing.assert_allclose(frozen[name], free[name], atol=1e-6)
            squares += np.sum(np.square((frozen[name] - start[name]) / RATE, dtype=np.float64))
    assert others["d_gradient_norm"] == pytest.approx(np.sqrt(squares), rel=1e-3)
    assert others["d_gradient_norm"] < 0.99 * numbers["d_gradient_norm"]
    assert others["d_loss"] == pytest.approx(numbers["d_loss"])
