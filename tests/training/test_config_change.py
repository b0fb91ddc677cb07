"""Runs that resume with other learning rates or images than they began with."""

import dataclasses
import json
import re

import numpy as np
import pytest
import smallest
import tensorflow as tf
from PIL import Image

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


def small(folder, count, start=0):
    """Gray images, all different, in a folder of two classes."""
    for i in range(start, start + count):
        path = folder / f"{'ab'[i % 2]}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(pixels).save(path)
    return folder


def folder_config(folder, tmp_path, **changes):
    fields = smallest.RUN | smallest.DCGAN | {"data_dir": str(tmp_path / "data"), "num_classes": -1}
    return Config(**fields | {"dataset": f"folder:{folder}"} | changes)


@pytest.mark.slow
def test_a_run_goes_on_with_more_images_when_asked(tmp_path, capfd):
    folder = small(tmp_path / "photos", 8)
    train(folder_config(folder, tmp_path, total_steps=1), tmp_path / "run")
    small(folder, 4, start=8)
    config = folder_config(folder, tmp_path, total_steps=2)
    train(config, tmp_path / "run")
    assert "(4 added, e.g. a/10.png), and the run keeps the images it" in capfd.readouterr().err
    run = train(dataclasses.replace(config, total_steps=3), tmp_path / "run", allowed=["dataset"])
    environment = run.read_environment()
    assert (environment["step"], environment["data"]["count"]) == (2, 12)
    (change,) = environment["config_changes"]
    assert re.fullmatch(r"images=8 of hash \w{12} -> 12 of hash \w{12}", change)
    train(dataclasses.replace(config, total_steps=4), tmp_path / "run")  # It keeps the new ones.
    assert "config_changes" not in run.read_environment()
    assert run.read_environment()["data"]["count"] == 12


def test_other_classes_are_refused_though_the_images_may_change(tmp_path):
    folder = small(tmp_path / "photos", 8)
    config = folder_config(folder, tmp_path, total_steps=1)
    run = train(config, tmp_path / "run")
    (folder / "a").rename(folder / "c")
    with pytest.raises(UsageError, match=r"classes of the run, a, b\. Received: b, c in folder"):
        train(config, tmp_path / "run", allowed=["dataset"])
    small(folder, 8)
    with pytest.raises(UsageError, match="num_classes must be 3, the number of classes in folder"):
        train(run.read_config(), tmp_path / "run", allowed=["dataset"])


@pytest.mark.slow
def test_the_content_of_images_decides_not_their_place(tmp_path, monkeypatch):
    folder = small(tmp_path / "photos", 8)
    train(folder_config(folder, tmp_path, total_steps=1), tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    for step, name in enumerate(("photos/", "link", "renamed"), start=2):
        if name == "link":
            (tmp_path / name).symlink_to(folder)
        elif name == "renamed":
            folder.rename(tmp_path / name)
        run = train(folder_config(name, tmp_path, total_steps=step), tmp_path / "run")
        assert run.read_config().image_set.dataset.path == tmp_path / name.strip("/")
        assert newest_checkpoint(run.checkpoints).endswith(f"-{step}")
    other = small(tmp_path / "other", 8, start=20)
    with pytest.raises(UsageError, match="began with other images than folder:.*other has now"):
        train(folder_config(other, tmp_path, total_steps=step), tmp_path / "run")
