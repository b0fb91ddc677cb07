"""Kernel distance against power sums, a loop over pairs, and its expectation."""

import numpy as np
import pytest

from keras_sagan.errors import UsageError
from keras_sagan.metrics import kernel
from keras_sagan.metrics.kernel import kernel_distance, split_evenly

RNG = np.random.default_rng(0)


def pairwise(x, y):
    """The U-statistic as its definition."""

    def k(a, b):
        return (np.dot(a, b) / len(a) + 1) ** 3

    def within(s):
        return np.mean([k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j])

    return within(x) + within(y) - 2 * np.mean([k(a, b) for a in x for b in y])


def power_sums(x, y):
    """In one dimension k = 1 + 3 xy + 3 (xy)^2 + (xy)^3, so sums of powers are enough."""
    total = 0.0
    for power, weight in ((1, 3), (2, 3), (3, 1)):
        a, b = x**power, y**power
        for s in (a, b):
            total += weight * (s.sum() ** 2 - (s**2).sum()) / (len(s) * (len(s) - 1))
        total -= 2 * weight * a.mean() * b.mean()
    return total


def test_one_dimension_has_a_closed_form():
    x, y = RNG.normal(size=40), RNG.normal(size=40) * 0.8 + 0.1
    value, error = kernel_distance(x[:, None], y[:, None])
    assert value == pytest.approx(power_sums(x, y), abs=2e-14)
    assert error is None


def test_unequal_numbers():
    x, y = RNG.normal(size=(13, 4)), RNG.normal(size=(9, 4)) + 0.3
    assert kernel_distance(x, y)[0] == pytest.approx(pairwise(x, y), rel=1e-12)


def test_equal_distributions_are_at_zero_on_average():
    values = [kernel_distance(*RNG.normal(size=(2, 50, 4)))[0] for _ in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)
    assert 0.2 < np.mean(np.array(values) < 0) < 0.8


def test_blocks_are_averaged_and_give_the_error():
    x, y = RNG.normal(size=(2500, 3)), RNG.normal(size=(2100, 3)) + 0.2
    order = [np.random.RandomState(2020).permutation(n) for n in (2500, 2100)]
    blocks = zip(
        np.split(x[order[0]], [833, 1666]), np.split(y[order[1]], [700, 1400]), strict=True
    )
    values = [kernel_distance(a, b)[0] for a, b in blocks]
    value, error = kernel_distance(x, y)
    assert value == pytest.approx(np.mean(values), rel=1e-12)
    assert error == pytest.approx(np.std(values, ddof=1) / np.sqrt(3), rel=1e-12)


def test_order_of_the_vectors_hardly_matters():
    """Blocks of sets that are sorted by class would compare classes, not sets."""
    shifts = np.repeat(np.arange(3.0), 1024)[:, None]
    x, y = (RNG.normal(size=(3072, 2)) + shifts for _ in range(2))
    value, error = kernel_distance(x, y[::-1])
    assert abs(value) < 4 * error
    assert error < 1


def test_subsets_of_all_vectors_are_the_exact_statistic():
    x, y = RNG.normal(size=(40, 4)), RNG.normal(size=(40, 4)) + 0.3
    value, error = kernel_distance(x, y, "subsets")
    assert value == pytest.approx(kernel_distance(x, y)[0], rel=1e-12)
    assert error is None


def test_subsets_estimate_what_blocks_estimate(monkeypatch):
    monkeypatch.setattr(kernel, "SUBSET", 300)
    x, y = RNG.normal(size=(1000, 4)), RNG.normal(size=(1000, 4)) + 0.3
    value, error = kernel_distance(x, y, "subsets")
    assert value == pytest.approx(kernel_distance(x, y)[0], rel=0.05)
    assert error is None  # Subsets overlap.
    assert kernel_distance(x, y, "subsets") == (value, None)


def test_conventions_are_the_published_ones():
    assert (kernel.BLOCK, kernel.SUBSETS, kernel.SUBSET) == (1024, 100, 1000)


def test_pieces_differ_by_at_most_one():
    assert [list(part) for part in split_evenly(np.arange(7), 3)] == [[0, 1], [2, 3], [4, 5, 6]]


def test_too_few_vectors_for_the_blocks_are_named():
    with pytest.raises(UsageError, match="at least 6 images .* Received: 3000 real, 5 fake"):
        kernel_distance(np.zeros((3000, 2)), np.zeros((5, 2)))
