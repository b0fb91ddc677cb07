"""Coherence against correlations by NumPy, and on images made for it."""

import numpy as np
import pytest

from keras_sagan.metrics.coherence import CLASSES, coherence, halves

# A 4x4 image whose pixels tell their row and column.
IMAGE = np.add.outer(10 * np.arange(4), np.arange(4))


@pytest.mark.parametrize(
    ("label", "first", "second"),
    [
        (0, [[0, 10, 20, 30], [1, 11, 21, 31]], [[3, 13, 23, 33], [2, 12, 22, 32]]),
        (1, [[0, 1, 2, 3], [10, 11, 12, 13]], [[30, 31, 32, 33], [20, 21, 22, 23]]),
        (2, [[0, 10, 20, 30], [1, 11, 21, 31]], [[2, 12, 22, 32], [3, 13, 23, 33]]),
        (3, [[0, 1, 2, 3], [10, 11, 12, 13]], [[20, 21, 22, 23], [30, 31, 32, 33]]),
    ],
    ids=CLASSES,
)
def test_counterparts_are_those_of_the_class(label, first, second):
    for half, expected in zip(halves(IMAGE, label), (first, second), strict=True):
        np.testing.assert_array_equal(half, expected)


def test_value_is_the_mean_correlation_of_the_halves():
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8)
    images[:, :, 4:] = images[:, :, 4:] // 2 + images[:, :, :4] // 3
    expected = [np.corrcoef(im[:, :4].ravel(), im[:, 4:].ravel())[0, 1] for im in images]
    assert coherence(images, np.full(6, 2)) == pytest.approx(np.mean(expected), abs=1e-12)
    assert abs(coherence(images, np.full(6, 3)) - np.mean(expected)) > 0.1


def test_a_color_cast_is_no_structure():
    """Both halves red: correlated over channels, but neither tells what is in the other."""
    images = np.random.default_rng(0).integers(0, 50, (200, 8, 8, 3), np.uint8)
    images[..., 0] += 200
    assert abs(coherence(images, np.zeros(200, int))) < 0.02


def test_flat_images_have_none():
    assert coherence(np.full((2, 8, 8, 3), 7, np.uint8), [0, 1]) == 0.0
    half = np.zeros((1, 8, 8, 1), np.uint8)
    half[:, :, :4] = np.random.default_rng(0).integers(0, 256, (8, 4, 1))
    assert coherence(half, [0]) == 0.0


@pytest.mark.parametrize("label", [-1, 4])
def test_labels_outside_the_classes_are_named(label):
    with pytest.raises(ValueError, match=rf"a label in 0\.\.\.3. Received: label={label}"):
        coherence(np.zeros((1, 8, 8, 1)), [label])
