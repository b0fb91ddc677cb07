"""Every file of a run and of its data, damaged: training goes on from what is whole, or says why.

Steps are counted, and a weight with them; all that is read and written is.
"""

import dataclasses
import json
import shutil

import pytest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.errors import RunError, UsageError
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training import health, session
from keras_sagan.training import run as training
from keras_sagan.training.session import SAGAN
from keras_sagan.training.state import State

CONFIG = Config(
    image_size=16,
    image_channels=1,
    z_dim=4,
    g_channels=2,
    d_channels=2,
    num_classes=10,
    batch_size=4,
    steps_per_call=5,
    log_every=15,
    sample_every=1000,
    checkpoint_every=10,
    keep_checkpoints=2,
    total_steps=30,
)
CHECKPOINT = (".index", ".data-00000-of-00001", ".partial_record.json", ".sha256")


def truncated(data):
    return data[: len(data) // 2]


def zeroed(data):
    return bytes(len(data))


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def removed(data):
    del data


DAMAGES = (truncated, zeroed, flipped, removed)


def damage(path, how):
    data = how(path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)


def make_counting(strategy, game):
    """In place of `make_train_call`."""
    del strategy
    weight = game.generator.trainable_variables[0]

    def train(iterator, step, num_steps):
        del iterator
        losses = []
        for _ in range(int(num_steps)):
            step.assign_add(1)
            weight.assign_add(tf.ones_like(weight))
            losses.append(float(step.numpy()))
        means = dict.fromkeys(health.LOSSES, sum(losses) / len(losses))
        return means, tf.fill([2], health.NEVER)

    return train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function of config and run directory, which trains; and the folder of the data."""
    folder = tmp_path_factory.mktemp("damage")
    state = State.create(CONFIG)
    weights = [variable.numpy() for variable in state.generator.variables]

    def create(strategy, config):
        del strategy, config
        state.step.assign(0)
        for variable, value in zip(state.generator.variables, weights, strict=True):
            variable.assign(value)
        return state

    def train(run_dir, data_dir=folder / "data", total_steps=40):
        config = dataclasses.replace(CONFIG, data_dir=str(data_dir), total_steps=total_steps)
        return training.train(config, run_dir, dataclasses.replace(SAGAN, create_state=create))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "make_train_call", make_counting)
        costs = {"parameters": 0, "macs": 0}
        patch.setattr(training, "costs", lambda network: costs)
        train(folder / "before", total_steps=30)
        train(folder / "straight")
        yield train, folder


@pytest.fixture
def run_dir(trained, tmp_path):
    """A copy of a run of 30 steps, with checkpoints of 20 and 30."""
    return shutil.copytree(trained[1] / "before", tmp_path / "run")


def result(run_dir):
    """What a run has come to."""
    names = ("train.jsonl", "scores.jsonl")
    rows = [
        json.loads(line) for name in names for line in (run_dir / name).read_bytes().splitlines()
    ]
    for row in rows:
        for name in ("seconds", "steps_per_s", "images_per_s"):
            row.pop(name, None)
    return digest(newest_checkpoint(run_dir / "checkpoints")), rows


@pytest.mark.slow
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("suffix", CHECKPOINT)
def test_newest_checkpoint(suffix, how, trained, run_dir, capfd):
    train, folder = trained
    damage(run_dir / "checkpoints" / f"step-30{suffix}", how)
    train(run_dir)
    assert result(run_dir) == result(folder / "straight")
    warnings = [line for line in capfd.readouterr().err.splitlines() if "warning: " in line]
    if (suffix, how) == (".sha256", removed):  # All that it vouched for is there.
        assert not warnings
    else:
        (line,) = warnings
        assert "step-30 cannot be read: " in line
        assert line.endswith("step-20")


@pytest.mark.parametrize("suffix", CHECKPOINT[:3])
def test_every_checkpoint(suffix, trained, run_dir):
    for step in (20, 30):
        damage(run_dir / "checkpoints" / f"step-{step}{suffix}", truncated)
    with pytest.raises(RunError, match=r"step-30 cannot be read: .*, nor can 1 before it$"):
        trained[0](run_dir)


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", ["config.json", "environment.json"])
def test_facts_of_the_run(name, how, trained, run_dir):
    train, folder = trained
    damage(run_dir / name, how)
    error = None
    try:
        train(run_dir)
    except (RunError, UsageError) as raised:
        error = str(raised)
    if error:
        assert str(run_dir) in error
        assert "\n" not in error
        assert how is not removed
    else:  # A letter that means nothing, or nothing that was lost for the numbers.
        assert result(run_dir) == result(folder / "straight")
        assert how in (flipped, removed)


@pytest.mark.slow_except("train.jsonl")
@pytest.mark.parametrize("name", ["train.jsonl", "scores.jsonl"])
def test_cut_off_record(name, trained, run_dir, capfd):
    """What stays of a line that a kill has cut off goes; of others that are broken it is told."""
    train, folder = trained
    with (run_dir / name).open("ab") as file:
        file.write(b'{"step": 3')
    train(run_dir)
    assert "warning" not in capfd.readouterr().err
    assert result(run_dir) == result(folder / "straight")
    data = (run_dir / name).read_bytes()
    (run_dir / name).write_bytes(b'{"step": \xff}\n[]\n' + data)
    train(run_dir, total_steps=50)
    assert f"warning: {run_dir / name}: left out 2 broken lines" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "{}", "[", "[]", "null", '{"step": "30", "signal": 1}', "\0"])
def test_word_of_a_stop(text, trained, run_dir):
    train, folder = trained
    (run_dir / "stop.json").write_text(text)
    train(run_dir)
    assert result(run_dir) == result(folder / "straight")
    assert training.describe_ending(RunDirectory(run_dir)).startswith("trained to step 40")


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "dataset.json"])
def test_prepared_data(name, how, trained, run_dir, tmp_path):
    train, folder = trained
    data_dir = shutil.copytree(folder / "data", tmp_path / "data")
    (directory,) = (data_dir / "prepared").glob("digits*")
    damage(directory / name, how)
    if (name, how) == ("images.npy", flipped):  # Training does not wait until all is read.
        config = dataclasses.replace(CONFIG, data_dir=str(data_dir))
        with pytest.raises(RunError, match=r"have changed since they were written; remove it"):
            prepare(config.image_set, config.data_dir).verify()
    else:
        with pytest.raises((RunError, UsageError), match=r"Received: ") as error:
            train(run_dir, data_dir=data_dir)
        assert "\n" not in str(error.value)


def test_prepared_data_that_are_whole(trained):
    prepare(CONFIG.image_set, str(trained[1] / "data")).verify()


def test_row_after_a_cut_off_one(tmp_path):
    run = RunDirectory(tmp_path)
    run.append("metrics.jsonl", {"a": 1}, {"a": 2})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"a": 3, "b')
    run.append("metrics.jsonl", {"a": 4})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"a": 1}\n{"a": 2}\n{"a": 4}\n'
