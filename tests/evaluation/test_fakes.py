"""The same images, features and scores for any batch size and any number of replicas."""

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.errors import RunError
from keras_sagan.evaluation import fakes
from keras_sagan.evaluation.extraction import Batches, extract_features
from keras_sagan.evaluation.fakes import (
    FakeSettings,
    Inputs,
    fake_features,
    set_standing_statistics,
)
from keras_sagan.evaluation.reals import real_features
from keras_sagan.evaluation.scores import CLASSIFIER, FeatureSet, all_scores
from keras_sagan.extractors import trained
from keras_sagan.extractors.tasks import CLASSES
from keras_sagan.extractors.trained import train_extractor
from keras_sagan.metrics.protocol import NATIVE

CONFIG = Config(
    image_size=16, image_channels=1, num_classes=10, z_dim=4, g_channels=4, d_channels=4
)
ONE = tf.distribute.MirroredStrategy(["CPU:0"])
RNG = np.random.default_rng(0)


def inputs(seed):
    return Inputs(seed, CONFIG.z_dim, CONFIG.num_classes)


def test_latents_and_labels_depend_on_the_number_of_the_image_alone():
    whole = inputs(3).draw_pairs(0, 5000, "uniform")
    for size in (50, 64, 1700):
        pieces = [inputs(3).draw_pairs(i, size, "uniform") for i in range(0, 5000, size)]
        for array, parts in zip(whole, zip(*pieces, strict=True), strict=True):
            np.testing.assert_array_equal(np.concatenate(parts)[:5000], array)
    other = inputs(4).draw_pairs(0, 5000, "uniform")
    assert not np.isin(other[0], whole[0]).all(axis=1).any()


def test_latents_are_normal_and_labels_uniform_or_in_turn():
    latents, labels = inputs(0).draw_pairs(0, 20_000, "uniform")
    assert abs(latents.mean()) < 0.02
    np.testing.assert_allclose(np.cov(latents, rowvar=False), np.eye(4), atol=0.04)
    assert len(np.unique(latents, axis=0)) == 20_000
    np.testing.assert_allclose(np.bincount(labels) / 20_000, 0.1, atol=0.01)
    _, turns = inputs(0).draw_pairs(7, 25, "balanced")
    np.testing.assert_array_equal(turns, np.arange(7, 32) % 10)


@pytest.fixture(scope="module")
def data():
    """Images that a barely trained classifier tells apart: a bright row for each class."""
    labels = RNG.integers(0, 10, 1200).astype(np.int32)
    images = RNG.integers(0, 120, (1200, 16, 16, 1), np.uint8)
    images[np.arange(1200), labels] += 120
    return images, labels


def scores_of(strategy, data, data_dir, batch_size, count=5000, batch_norm="moving"):
    images, labels = data
    extractor = train_extractor(CLASSES, images, labels, "0" * 64, data_dir, strategy)
    with strategy.scope():
        generator = networks.generator(CONFIG)
    for i, variable in enumerate(generator.variables):  # Equal ones for every strategy.
        values = np.random.default_rng(i).normal(size=variable.shape) * 0.5
        if "variance" in variable.path:
            values = np.abs(values) + 1
        variable.assign(values.astype(np.float32))
    settings = FakeSettings(count, batch_size, batch_norm, keeps_images=False)
    fake = fake_features(strategy, generator, extractor, inputs(5), settings)
    real = FeatureSet(real_features(strategy, extractor, images, batch_size), None, labels)
    scores = all_scores(real, fake, NATIVE, CLASSIFIER, accuracy=True)
    return fake, {name: score["value"] for name, score in scores.items()}


@pytest.mark.slow
def test_scores_agree_for_batch_sizes_and_replicas(data, tmp_path, two_replicas, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 60)
    drawn = []
    original = Inputs.draw_pairs

    def noted(self, start, count, labels):
        result = original(self, start, count, labels)
        if count in (50, 64):
            drawn[-1].append(result)
        return result

    monkeypatch.setattr(Inputs, "draw_pairs", noted)
    found = []
    for strategy, batch_size in ((ONE, 50), (ONE, 64), (two_replicas, 50)):
        drawn.append([])
        found.append(scores_of(strategy, data, tmp_path, batch_size))
    (fake, scores), *others = found
    assert set(scores) == {
        "label_accuracy",
        "fd",
        "is",
        "kd",
        "precision",
        "recall",
        "intra_fd",
    }
    assert fake.features.shape == (5000, 128)
    first = [np.concatenate(parts)[:5000] for parts in zip(*drawn[0], strict=True)]
    for (other, values), batches in zip(others, drawn[1:], strict=True):
        for array, parts in zip(first, zip(*batches, strict=True), strict=True):
            np.testing.assert_array_equal(np.concatenate(parts)[:5000], array)
        np.testing.assert_array_equal(other.labels, fake.labels)
        np.testing.assert_allclose(other.features, fake.features, atol=1e-4, rtol=1e-4)
        for name, value in values.items():
            assert value == pytest.approx(scores[name], rel=1e-6), name


@pytest.mark.slow
def test_batch_statistics_are_the_batchs_own(data, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 1)
    few = {"count": 60}
    moving, _ = scores_of(ONE, data, tmp_path, 20, **few)
    small, _ = scores_of(ONE, data, tmp_path, 20, batch_norm="batch", **few)
    large, _ = scores_of(ONE, data, tmp_path, 30, batch_norm="batch", **few)
    assert np.abs(moving.features - small.features).max() > 1e-2
    assert np.abs(large.features - small.features).max() > 1e-2


def test_standing_statistics_are_the_means_over_batches(monkeypatch):
    monkeypatch.setattr(fakes, "STANDING_BATCHES", 5)
    generator = networks.generator(CONFIG)
    first = next(
        layer
        for layer in generator._flatten_layers()
        if isinstance(layer, fakes.ConditionalBatchNormalization)
    )
    means = []

    def noted(images, original=first.batch_statistics):
        means.append([part.numpy() for part in original(images)])
        return original(images)

    monkeypatch.setattr(first, "batch_statistics", noted)
    set_standing_statistics(generator, inputs(1))
    assert len(means) == 5
    mean, variance = (np.mean(parts, axis=0) for parts in zip(*means, strict=True))
    np.testing.assert_allclose(first.moving_mean, mean, atol=1e-5)
    np.testing.assert_allclose(first.moving_variance, variance, rtol=1e-5)


def numbers(start, count):
    return (np.arange(start, start + count, dtype=np.float32)[:, None],)


@pytest.mark.parametrize("count", [6, 7])
def test_images_keep_their_order_over_replicas(count, two_replicas):
    """Also where they do not fill the last batch."""
    batches = Batches("number", count, numbers)
    features, logits = extract_features(two_replicas, lambda x: (2 * x, x + 1), batches, 4)
    np.testing.assert_array_equal(features[:, 0], 2 * np.arange(count))
    np.testing.assert_array_equal(logits[:, 0], np.arange(count) + 1)


def test_features_that_are_not_finite_are_counted():
    def broken(x):
        return tf.where(x > 3, np.nan, x), x

    with pytest.raises(RunError, match="expected finite features. .* infinity for 2 images"):
        extract_features(ONE, broken, Batches("number", 6, numbers), 3)
