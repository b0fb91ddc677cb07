"""Metrics against other formulas and known answers."""

import numpy as np
import pytest
import scipy.linalg
import sklearn.datasets

from keras_sagan.metrics.frechet import frechet_distance, thumbnails
from keras_sagan.metrics.label_accuracy import label_accuracy

RNG = np.random.default_rng(0)


def textbook(first, second):
    means = [x.mean(axis=0) for x in (first, second)]
    covariances = [np.cov(x, rowvar=False) for x in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return np.sum((means[0] - means[1]) ** 2) + np.trace(sum(covariances) - 2 * root)


def test_frechet_distance_is_that_of_the_matrix_square_root():
    first = RNG.normal(size=(300, 6)) @ RNG.normal(size=(6, 6))
    second = RNG.normal(size=(200, 6)) @ RNG.normal(size=(6, 6)) + 1
    np.testing.assert_allclose(frechet_distance(first, second), textbook(first, second), rtol=1e-8)


def test_frechet_distance_of_shifted_and_equal_sets():
    vectors = RNG.normal(size=(20, 50))  # Fewer than dimensions.
    assert frechet_distance(vectors, vectors) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(vectors, vectors + 0.5) == pytest.approx(50 * 0.25)


def test_sets_that_cannot_be_compared_are_named():
    with pytest.raises(ValueError, match=r"Received: shapes \(1, 3\) and \(4, 3\)"):
        frechet_distance(np.zeros((1, 3)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"Received: shapes \(4, 2\) and \(4, 3\)"):
        frechet_distance(np.zeros((4, 2)), np.zeros((4, 3)))


def test_thumbnails_are_means_of_squares_and_channels():
    images = RNG.integers(0, 256, (3, 16, 16, 3), np.uint8)
    expected = images[1, 2:4, 6:8].mean() / 255
    small = thumbnails(images)
    assert small.shape == (3, 64)
    assert small[1, 8 + 3] == pytest.approx(expected)


def test_label_accuracy_counts_the_fakes_that_show_their_class():
    digits = sklearn.datasets.load_digits()
    images = (digits.images * 15).astype(np.uint8)[..., None]
    fakes, labels = images[-100:], digits.target[-100:].copy()
    accuracy, test_accuracy = label_accuracy(images, digits.target, fakes, labels)
    assert test_accuracy > 0.9
    labels[:50] = (labels[:50] + 1) % 10
    halved, _ = label_accuracy(images, digits.target, fakes, labels)
    assert halved == pytest.approx(accuracy - 0.5, abs=0.05)
