"""Distances and nearest vectors against SciPy and hand-made rows."""

import numpy as np
import scipy.spatial.distance

from keras_sagan.metrics import nearest as module
from keras_sagan.metrics.nearest import nearest, squared_distances

RNG = np.random.default_rng(0)


def test_distances_of_bytes_are_exact_in_any_pieces(monkeypatch):
    x, y = RNG.integers(0, 256, (2, 30, 700), np.uint8)
    expected = np.sum((x[:, None].astype(int) - y[None].astype(int)) ** 2, axis=-1)
    for entries in (1 << 24, 7000, 1):
        monkeypatch.setattr(module, "ENTRIES", entries)
        pieces = list(squared_distances(x, y))
        np.testing.assert_array_equal(np.concatenate(pieces), expected)
    assert len(pieces) == 30


def test_distances_of_features_are_scipys():
    x, y = RNG.normal(size=(2, 40, 6)).astype(np.float32) + np.float32(3)
    expected = scipy.spatial.distance.cdist(x, y, "sqeuclidean")
    np.testing.assert_allclose(np.concatenate(list(squared_distances(x, y))), expected, rtol=1e-12)


def test_the_nearest_come_first_with_what_is_known_of_them():
    candidates = {"d": np.array([[3, 1, 2], [1, 2, 0]]), "name": np.array([[7, 8, 9], [7, 8, 9]])}
    found = nearest(candidates, "d", 2)
    np.testing.assert_array_equal(found["d"], [[1, 2], [0, 1]])
    np.testing.assert_array_equal(found["name"], [[8, 9], [9, 7]])


def test_of_equally_near_ones_the_first_are_taken():
    distances = RNG.integers(0, 3, (4, 5000))
    found = nearest({"d": distances, "place": np.tile(np.arange(5000), (4, 1))}, "d", 20)
    for row, places in zip(distances, found["place"], strict=True):
        np.testing.assert_array_equal(places, np.flatnonzero(row == 0)[:20])


def test_fewer_candidates_than_asked_for_are_all_taken():
    assert nearest({"d": np.zeros((4, 2))}, "d", 3)["d"].shape == (4, 2)
