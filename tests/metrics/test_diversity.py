"""Distances between images: known ones, and those of SciPy."""

import numpy as np
import pytest
import scipy.spatial

from keras_sagan.metrics.diversity import diversity
from keras_sagan.metrics.frechet import thumbnails

RNG = np.random.default_rng(0)
IMAGES = (
    RNG.integers(0, 256, (12, 16, 16, 3), np.uint8)
    // np.arange(1, 13, dtype=np.uint8)[:, None, None, None]
)


def plain(*levels):
    return np.stack([np.full((16, 16, 1), level, np.uint8) for level in levels])


def test_known_distances():
    assert diversity(plain(0, 255), np.array([0, 0])) == 1
    assert diversity(plain(0, 51, 255), np.array([0, 0, 0])) == pytest.approx(2 / 3)
    assert diversity(plain(7, 7, 7), np.array([0, 0, 0])) == 0


def test_classes_count_alike_and_one_image_is_none():
    assert diversity(plain(0, 255, 51, 51, 51, 9), np.array([4, 4, 2, 2, 2, 0])) == 0.5
    # One image a class, again and again, is a collapse however much classes differ.
    assert diversity(plain(0, 0, 255, 255), np.array([0, 0, 1, 1])) == 0
    assert diversity(plain(0, 255), np.array([0, 1])) == 0


def test_distances_are_those_of_scipy():
    distances = scipy.spatial.distance.pdist(thumbnails(IMAGES)) / 8
    assert diversity(IMAGES, np.zeros(12, int)) == pytest.approx(distances.mean(), rel=1e-12)
