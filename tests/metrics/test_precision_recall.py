"""Precision and recall against hand-made points and SciPy's distances."""

import numpy as np
import pytest
import scipy.spatial.distance

from keras_sagan.errors import UsageError
from keras_sagan.metrics import nearest
from keras_sagan.metrics.precision_recall import precision_recall

RNG = np.random.default_rng(0)


def points(*values):
    return np.array(values, np.float64)[:, None]


def test_equal_sets_cover_each_other():
    features = RNG.normal(size=(50, 5)) + 100
    assert precision_recall(features, features) == (1, 1)


def test_distant_sets_do_not():
    features = RNG.normal(size=(50, 5))
    assert precision_recall(features, features + 100) == (0, 0)


def test_points_on_a_line():
    """Radii of the real points, k = 1: 1, 1, 3; of the fakes: 4, 4, 10."""
    precision, recall = precision_recall(points(0, 1, 4), points(2, 6, 16), k=1)
    assert (precision, recall) == (2 / 3, 1)
    # On the border of the ball around 4, which belongs to it.
    assert precision_recall(points(0, 1, 4), points(7, 100, 200), k=1)[0] == 1 / 3
    assert precision_recall(points(0, 1, 4), points(7.5, 100, 200), k=1)[0] == 0


def test_the_vector_itself_is_no_neighbor():
    """Else the radius of k = 1 would be zero and only equal points would be covered."""
    assert precision_recall(points(0, 2), points(1, 50), k=1)[0] == 0.5


def test_fakes_among_the_real_vectors():
    real = RNG.normal(size=(200, 3))
    precision, recall = precision_recall(real, real[:20])
    assert precision == 1
    assert 0 < recall < 1


@pytest.mark.parametrize("entries", [1 << 24, 1000])
def test_values_are_those_of_scipys_distances(entries, monkeypatch):
    monkeypatch.setattr(nearest, "ENTRIES", entries)  # Several blocks.
    real, fake = RNG.normal(size=(120, 6)), 0.8 * RNG.normal(size=(150, 6)) + 0.5

    def expected(x, y):
        radii = np.sort(scipy.spatial.distance.cdist(y, y), axis=1)[:, 3]
        return (scipy.spatial.distance.cdist(x, y) <= radii).any(axis=1).mean()

    precision, recall = precision_recall(real, fake)
    assert (precision, recall) == (expected(fake, real), expected(real, fake))
    assert 0 < recall < precision < 1


def test_too_few_vectors_are_named():
    with pytest.raises(UsageError, match="expected at least 4 fake features. Received: 3"):
        precision_recall(np.zeros((9, 2)), np.zeros((3, 2)))
