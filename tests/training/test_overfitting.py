"""Held-out images: left out of training, compared with the others, and warned of once."""

import dataclasses

import numpy as np
import pytest
import smallest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.prepared import Examples, hold_out, prepare
from keras_sagan.errors import UsageError
from keras_sagan.progress import Progress
from keras_sagan.training import game, overfitting
from keras_sagan.training.overfitting import COUNT, Logits, OverfittingWatch, was_overfitted
from keras_sagan.training.run import train

CONFIG = Config(**smallest.RUN | smallest.DCGAN, holdout=0.25, total_steps=20, log_every=10)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return dataclasses.replace(CONFIG, data_dir=str(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def prepared(config):
    return prepare(config.image_set, config.data_dir)


def test_last_images_are_held_out_and_all_others_are_trained_on(prepared):
    training, held_out = hold_out(prepared, 0.25)
    count = len(prepared.images)
    assert len(held_out.images) == -(-count // 4)
    for name in Examples._fields:
        parts = np.concatenate([getattr(training, name), getattr(held_out, name)])
        np.testing.assert_array_equal(parts, getattr(prepared, name))
    training, held_out = hold_out(prepared, 0.0)
    assert (len(training.images), len(held_out.images)) == (count, 0)


def test_every_class_has_an_image_to_train_on(prepared):
    with pytest.raises(UsageError, match=r"holdout must leave .* holdout=0.999, .* all of "):
        hold_out(prepared, 0.999)


@pytest.mark.slow
def test_run_reads_no_held_out_image(config, prepared, tmp_path, monkeypatch):
    seen = set()
    scale = game.Game.scale_images

    def spied(self, images, flips):
        def keep(batch):
            seen.update(image.tobytes() for image in batch)
            return np.int32(0)

        with tf.control_dependencies([tf.numpy_function(keep, [images], tf.int32)]):
            return scale(self, tf.identity(images), flips)

    monkeypatch.setattr(game.Game, "scale_images", spied)
    steps = len(prepared.images) // config.batch_size
    train(dataclasses.replace(config, total_steps=steps), tmp_path)
    training, held_out = (
        {image.tobytes() for image in part.images} for part in hold_out(prepared, config.holdout)
    )
    assert seen == training
    assert not seen & held_out


def logits(training, held_out, samples, spread=0.1):
    noise = np.random.default_rng(0).normal(0, spread, (3, COUNT))
    return Logits(*(noise + np.array([[training], [held_out], [samples]])))


def test_overfitting_is_the_share_of_the_way_to_samples():
    found = logits(2.0, 0.5, -1.0, spread=0)
    assert found.overfitting == pytest.approx(0.5)
    assert logits(2.0, 2.0, -1.0, spread=0).overfitting == 0
    assert logits(-1.0, 0.0, 0.0, spread=0).overfitting == 0
    assert found.gauges() == pytest.approx(
        {
            "d_logits_training": 2.0,
            "d_logits_held_out": 0.5,
            "d_logits_samples": -1.0,
            "overfitting": 0.5,
            "overfitted": 0.0,
        }
    )


def test_only_a_large_difference_that_is_no_chance_is_overfitting():
    assert logits(2.0, -0.5, -1.0).is_overfitted
    assert not logits(2.0, 1.5, -1.0).is_overfitted
    by_chance = logits(0.2, -0.3, -0.4, spread=5.0)
    assert by_chance.overfitting > 0.5
    assert not by_chance.is_overfitted
    # What was not warned of before a run was stopped is warned of afterwards.
    assert not was_overfitted(by_chance.gauges())
    assert was_overfitted(logits(2.0, -0.5, -1.0).gauges())


def test_discriminator_judges_all_three_kinds_as_in_evaluation():
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 1), np.uint8)
    parts = [Examples(images[i : i + 3], np.arange(3, dtype=np.int32)) for i in (0, 3, 6)]
    asked = []

    def discriminator(inputs, labels, training):
        assert training is False
        return tf.reduce_mean(inputs, axis=[1, 2, 3]) + tf.cast(labels, tf.float32)

    def sample(count):
        asked.append(count)
        return parts[2]

    watch = OverfittingWatch(discriminator, *parts[:2], sample)
    for found, part in zip(watch.compare(), parts, strict=True):
        expected = np.mean(part.images / 127.5 - 1, axis=(1, 2, 3)) + part.labels
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert asked == [COUNT]


def test_warning_comes_once_whenever_it_begins():
    watch = OverfittingWatch(
        lambda *_, **__: None, *[Examples(*[np.zeros(1)] * 2)] * 2, lambda n: 0
    )
    bad, good = logits(2.0, -0.5, -1.0), logits(2.0, 2.0, -1.0)
    lines = [watch.warning(each, step) for step, each in enumerate([good, bad, bad, good, bad])]
    assert [step for step, line in enumerate(lines) if line] == [1, 4]
    assert lines[1].startswith("warning: overfitting at step 1: ")
    assert "is 2.01 for training images, -0.51 for held-out ones and -1.01 for samples" in lines[1]


def test_run_records_the_gauges_and_does_not_warn_again(config, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(Progress, "say", lambda self, line: said.append(line))
    monkeypatch.setattr(overfitting.OverfittingWatch, "compare", lambda _: logits(2.0, -0.5, -1.0))
    for steps in (10, 20):
        run = train(dataclasses.replace(config, total_steps=steps), tmp_path)
    rows = run.rows("train.jsonl")
    assert [row["step"] for row in rows] == [10, 20]
    assert all(was_overfitted(row) for row in rows)
    assert len([line for line in said if line.startswith("warning: overfitting")]) == 1
    (line,) = {line for line in said if "held out" in line}
    assert line == "450 of 1,797 images are held out"
