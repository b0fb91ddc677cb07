"""Frechet distance against closed forms, SciPy's matrix square root, and memory and time."""

import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.linalg

from keras_sagan.errors import RunError, UsageError
from keras_sagan.metrics import frechet
from keras_sagan.metrics.frechet import (
    class_distances,
    frechet_distance,
    statistics_distance,
    thumbnails,
)
from keras_sagan.metrics.moments import Moments, Statistics

RNG = np.random.default_rng(0)


def exact_moments(count, mean, covariance):
    """Vectors with exactly this mean and unbiased covariance; more vectors than dimensions."""
    z = RNG.standard_normal((count, len(mean)))
    q, _ = np.linalg.qr(z - z.mean(axis=0))
    return np.sqrt(count - 1) * q @ np.linalg.cholesky(covariance).T + mean


def random_covariance(width):
    factor = RNG.normal(size=(width, 2 * width))
    return factor @ factor.T / (2 * width)


def relu_features(count, width):
    """As an Inception network's: not negative, float32, with a decaying spectrum."""
    mix = np.random.default_rng(1).normal(size=(width, width)) / np.sqrt(width)
    scale = np.arange(1, width + 1) ** -0.5
    values = RNG.normal(size=(count, width)) * scale @ mix * np.sqrt(width) / 4
    return np.maximum(values, 0).astype(np.float32)


def textbook(first, second):
    means = [x.mean(axis=0) for x in (first, second)]
    covariances = [np.cov(x, rowvar=False) for x in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return np.sum((means[0] - means[1]) ** 2) + np.trace(sum(covariances) - 2 * root)


def by_statistics(first, second):
    return statistics_distance(*(Moments.of(part).statistics() for part in (first, second)))


BOTH = pytest.mark.parametrize("distance", [by_statistics, frechet_distance])


@BOTH
def test_distance_is_that_of_the_matrix_square_root(distance):
    first = RNG.normal(size=(300, 6)) @ RNG.normal(size=(6, 6))
    second = RNG.normal(size=(200, 6)) @ RNG.normal(size=(6, 6)) + 1
    expected = textbook(first, second)
    np.testing.assert_allclose(distance(first, second), expected, rtol=1e-10)


@BOTH
def test_shift_gives_the_square_of_its_length(distance):
    covariance = random_covariance(8)
    shift = np.zeros(8)
    shift[2] = 2
    first = exact_moments(40, np.zeros(8), covariance)
    assert distance(first, first + shift) == pytest.approx(4, abs=1e-13)
    assert distance(first, exact_moments(50, shift, covariance)) == pytest.approx(4, abs=1e-13)


@BOTH
def test_scaled_covariance(distance):
    covariance = random_covariance(8)
    first = exact_moments(40, np.ones(8), covariance)
    second = exact_moments(60, np.ones(8), 9 * covariance)
    expected = 4 * np.trace(covariance)
    np.testing.assert_allclose(distance(first, second), expected, rtol=1e-13)


@BOTH
def test_commuting_covariances_give_the_difference_of_their_roots(distance):
    a, b = RNG.uniform(0.5, 2, size=(2, 8))
    rotation, _ = np.linalg.qr(RNG.normal(size=(8, 8)))
    first, second = (
        exact_moments(40, np.zeros(8), rotation @ np.diag(values) @ rotation.T) for values in (a, b)
    )
    expected = np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
    np.testing.assert_allclose(distance(first, second), expected, rtol=1e-13)


def test_two_by_two_closed_form():
    a, b = random_covariance(2), random_covariance(2)
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a) * np.linalg.det(b)))
    expected = np.trace(a) + np.trace(b) - 2 * root
    zero = np.zeros(2)
    value = statistics_distance(Statistics(zero, a), Statistics(zero, b))
    assert value == pytest.approx(expected, abs=1e-15 * np.trace(a + b) * 2)


@BOTH
def test_distance_is_symmetric_and_knows_no_rotation_order_or_unit(distance):
    first, second = RNG.normal(size=(60, 8)), RNG.normal(size=(50, 8)) * 1.5 + 0.2
    rotation, _ = np.linalg.qr(RNG.normal(size=(8, 8)))
    value = distance(first, second)
    for other in (
        distance(second, first),
        distance(first @ rotation, second @ rotation),
        distance(RNG.permutation(first), second),
        distance(3 * first, 3 * second) / 9,
    ):
        assert other == pytest.approx(value, rel=1e-12)


def test_equal_sets_are_at_zero():
    many, few = RNG.normal(size=(90, 30)), RNG.normal(size=(20, 50))
    assert frechet_distance(many, many) < 1e-9
    assert frechet_distance(few, few) < 1e-9
    assert by_statistics(few, few) < 1e-6


def test_fewer_vectors_than_dimensions():
    """Where SciPy's root is wrong; singular values of the centered sets are the truth."""
    first, second = RNG.normal(size=(20, 64)), RNG.normal(size=(300, 64)) * 2 + 1
    centered = [(x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (first, second)]
    cross = np.linalg.svd(centered[0] @ centered[1].T, compute_uv=False).sum()
    shift = np.sum((first.mean(axis=0) - second.mean(axis=0)) ** 2)
    truth = shift + sum(np.sum(x**2) for x in centered) - 2 * cross
    for distance in (frechet_distance, by_statistics):
        np.testing.assert_allclose(distance(first, second), truth, rtol=1e-9)
        np.testing.assert_allclose(distance(second, first), truth, rtol=1e-9)


def test_a_direction_that_fakes_hardly_use():
    """Its variance of 1e-16 is nothing in a covariance; its deviation is in the distance."""
    deviations = np.array([1e-8, 1, 1, 1])
    real = exact_moments(60, np.zeros(4), np.eye(4))
    fake = exact_moments(60, np.zeros(4), np.eye(4)) * deviations
    assert frechet_distance(real, fake) == pytest.approx((1 - 1e-8) ** 2, abs=1e-13)


@BOTH
def test_collapsed_generator(distance):
    real = exact_moments(60, np.ones(8), random_covariance(8))
    fake = np.tile(np.full(8, 3.0), (40, 1))
    expected = 4 * 8 + np.trace(np.cov(real, rowvar=False))
    assert distance(real, fake) == pytest.approx(expected, rel=1e-12)
    assert distance(fake, real) == pytest.approx(expected, rel=1e-12)


def test_float32_features_lose_nothing():
    first = RNG.normal(size=(400, 16)).astype(np.float32)
    second = (RNG.normal(size=(300, 16)) * 1.2).astype(np.float32)
    double = frechet_distance(first.astype(np.float64), second.astype(np.float64))
    assert frechet_distance(first, second) == pytest.approx(double, rel=1e-12)


def test_bias_falls_with_the_number_of_images():
    """Of equal distributions: about c / N, which is why scores of different N are not compared."""
    reference = RNG.normal(size=(20_000, 32))
    values = {n: frechet_distance(reference, RNG.normal(size=(n, 32))) for n in (500, 2000, 8000)}
    # The reference's own 20,000 vectors have a share in it, so a bit less than 4.
    assert 3 < values[500] / values[2000] < 4.4
    assert 2.3 < values[2000] / values[8000] < 4.4


@pytest.mark.slow
def test_half_the_time_of_scipy_and_nearer_to_the_truth(thorough):
    """With fewer vectors than dimensions; thoroughly, at the width of Inception's features."""
    width = 2048 if thorough else 1024  # SciPy takes a minute at 2048.
    first, second = relu_features(500, width), relu_features(600, width)
    truth = frechet_distance(first, second)
    real, fake = (Moments.of(part).statistics() for part in (first, second))
    assert real.root.shape == (width, 499)  # Kept with cached statistics.
    start = time.perf_counter()
    value = statistics_distance(real, fake)
    ours = time.perf_counter() - start
    assert value == pytest.approx(truth, abs=1e-8)
    start = time.perf_counter()
    scipy.linalg.sqrtm(real.covariance @ fake.covariance)
    theirs = time.perf_counter() - start
    print(f"{ours:.2f} s, scipy {theirs:.2f} s, error {value - truth:.1e} of {truth:.1f}")  # noqa: T201
    assert ours < theirs / 2


def test_distance_below_zero_is_refused():
    with pytest.raises(RunError, match="expected a distance of at least 0. Received: -2"):
        frechet.assemble_distance(np.zeros(2), 2.0, 2.0)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((1, 3), (4, 3), "expected at least 2 real features. Received: 1"),
        ((4, 2), (4, 3), r"of the same width. Received: shapes \(4, 2\) and \(4, 3\)"),
        ((4,), (4, 3), r"real features as a matrix .* Received: shape \(4,\)"),
    ],
)
def test_sets_that_cannot_be_compared_are_named(first, second, message):
    with pytest.raises(UsageError, match=message):
        frechet_distance(np.zeros(first), np.zeros(second))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_counted(value):
    real, fake = np.zeros((5, 2)), np.zeros((9, 2))
    fake[[3, 8], 1] = value
    with pytest.raises(UsageError, match="expected finite fake features. .* in 2 rows"):
        frechet_distance(real, fake)


def test_distances_within_classes():
    base = RNG.normal(size=(50, 4))
    labels = np.repeat([0, 1, 7], 50)
    real = np.concatenate([base, base, base])
    fake = np.concatenate([base + np.array([2, 0, 0, 0]), base + np.array([0, 1, 0, 0]), base])
    distances = class_distances(real, labels, fake, labels)
    assert distances.keys() == {0, 1, 7}
    np.testing.assert_allclose([*distances.values()], [4, 1, 0], atol=1e-9)
    swapped = class_distances(real, labels, fake, np.repeat([1, 0, 7], 50))
    np.testing.assert_allclose([*swapped.values()], [1, 4, 0], atol=1e-9)


def test_classes_without_enough_images_are_reported():
    labels = np.repeat([0, 1], 10)
    real, fake = RNG.normal(size=(2, 20, 3))
    distances = class_distances(real, labels, fake, np.array([0] * 19 + [1]))
    assert distances[1] is None
    assert distances[0] > 0


@pytest.mark.slow
def test_a_thousand_classes_stay_under_four_gib():
    """At the width of Inception's features, in a process of its own, whose peak counts."""
    code = (
        "import pathlib, re, numpy as np\n"
        "from keras_sagan.metrics.frechet import class_distances\n"
        "rng = np.random.default_rng(0)\n"
        "real, fake = (rng.standard_normal((n * 1000, 2048), np.float32) for n in (60, 40))\n"
        "labels = [np.tile(np.arange(1000), n) for n in (60, 40)]\n"
        "distances = class_distances(real, labels[0], fake, labels[1])\n"
        "assert len(distances) == 1000 and None not in distances.values()\n"
        # `getrusage` would count what the process that started this one held.
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) / 2**20)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    peak = float(result.stdout)
    print(f"peak {peak:.2f} GiB")  # noqa: T201
    assert peak < 4


def test_thumbnails_are_means_of_squares_and_channels():
    images = RNG.integers(0, 256, (3, 16, 16, 3), np.uint8)
    expected = images[1, 2:4, 6:8].mean() / 255
    small = thumbnails(images)
    assert small.shape == (3, 64)
    assert small[1, 8 + 3] == pytest.approx(expected)
