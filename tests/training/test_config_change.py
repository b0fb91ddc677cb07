"""Runs that go on with another learning rate than they began with."""

import json

import pytest
import smallest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.training.run import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two steps, then two with other rates; the directory and the second `Config`."""
    folder = tmp_path_factory.mktemp("change")
    config = smallest.RUN | smallest.DCGAN | {"data_dir": str(folder / "data")}
    train(Config(**config, total_steps=2), folder / "run")
    config = Config(**config, total_steps=4, g_lr=0.5, ema_decay=0.5)
    with pytest.raises(UsageError, match=r"configuration: ema_decay=0.9999 -> 0.5\. Use another"):
        train(config, folder / "run", allowed=["g_lr"])
    return train(config, folder / "run", allowed=["g_lr", "ema_decay"]), config


@pytest.mark.slow
def test_change_is_recorded_with_the_step_it_came_at(run):
    directory, config = run
    environment = directory.read_environment()
    assert environment["config_changes"] == ["g_lr=0.0001 -> 0.5", "ema_decay=0.9999 -> 0.5"]
    assert environment["step"] == 2
    assert "config_changes" not in environment["earlier"][0]
    assert json.loads((directory.path / "config.json").read_text())["g_lr"] == 0.5
    assert directory.check_config(config) == []


@pytest.mark.slow
def test_rate_is_that_of_the_config_and_not_of_the_checkpoint(run):
    directory, _ = run
    reader = tf.train.load_checkpoint(newest_checkpoint(directory.checkpoints))
    (name,) = (
        name
        for name in reader.get_variable_to_shape_map()
        if name.startswith("g_optimizer/_learning_rate/.ATTRIBUTES")
    )
    assert reader.get_tensor(name) == 0.5
