"""Moments, statistics files and feature files."""

import json

import numpy as np
import pytest

from keras_sagan.errors import UsageError
from keras_sagan.metrics.features import read_features
from keras_sagan.metrics.frechet import frechet_distance, statistics_distance
from keras_sagan.metrics.moments import Moments, read_statistics

RNG = np.random.default_rng(0)


def test_moments_of_pieces_add_up_to_those_of_all():
    features = RNG.normal(size=(9000, 7)) + 2  # More than one block.
    whole = Moments.of(features).statistics()
    np.testing.assert_allclose(whole.mean, features.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(whole.covariance, np.cov(features, rowvar=False), atol=1e-13)
    pieces = [Moments.of(part) for part in (features[:100], features[100:4000], features[4000:])]
    merged = (pieces[2] + (pieces[0] + pieces[1])).statistics()
    assert merged.count == 9000
    np.testing.assert_allclose(merged.covariance, whole.covariance, atol=1e-14)


def test_features_far_from_zero_lose_no_digits():
    features = RNG.normal(size=(9000, 3))
    statistics = Moments.of(features + 1e6).statistics()
    np.testing.assert_allclose(statistics.covariance, np.cov(features, rowvar=False), atol=1e-9)


def test_root_is_one_of_the_covariance_and_has_its_rank():
    statistics = Moments.of(RNG.normal(size=(5, 12))).statistics()
    assert statistics.root.shape == (12, 4)
    np.testing.assert_allclose(
        statistics.root @ statistics.root.T, statistics.covariance, atol=1e-13
    )


def test_a_single_vector_has_no_covariance():
    with pytest.raises(UsageError, match="expected at least 2 vectors. Received: 1"):
        Moments.of(np.zeros((1, 3))).statistics()


def test_statistics_survive_their_file(tmp_path):
    first, second = RNG.normal(size=(50, 4)), RNG.normal(size=(40, 4)) + 1
    statistics = Moments.of(first).statistics()
    statistics.meta["split"] = "train"
    statistics.write_npz(tmp_path / "a.npz")
    read = read_statistics(tmp_path / "a.npz", "--real_statistics")
    assert (read.count, read.meta) == (50, {"split": "train"})
    assert "root" in read.__dict__
    value = statistics_distance(read, Moments.of(second).statistics())
    assert value == pytest.approx(frechet_distance(first, second), rel=1e-12)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert json.loads(str(file["meta"])) == {"split": "train"}
        np.testing.assert_array_equal(file["sigma"], statistics.covariance)


@pytest.mark.parametrize("names", [("mu", "sigma"), ("mean", "cov"), ("pool_mean", "pool_var")])
def test_files_of_other_projects(names, tmp_path):
    mean, covariance = np.arange(3.0), np.diag([1.0, 2.0, 3.0])
    np.savez(tmp_path / "a.npz", **dict(zip(names, (mean, covariance), strict=True)))
    read = read_statistics(tmp_path / "a.npz", "--real_statistics")
    np.testing.assert_array_equal(read.mean, mean)
    np.testing.assert_array_equal(read.covariance, covariance)
    assert (read.count, read.meta) == (None, {})


def pickled(path):
    np.savez(path, features=np.array([{}], object), mu=np.array([{}], object))


def truncated(path):
    np.savez(path, features=np.zeros((100, 100)))
    path.write_bytes(path.read_bytes()[:5000])


def damaged(path):
    np.savez_compressed(path, features=RNG.normal(size=(100, 100)))
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)


def plain_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 3)))


BROKEN = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no numbers"),
    "pickled": pickled,
    "truncated": truncated,
    "damaged": damaged,
    "plain_array": plain_array,
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("read", [read_features, read_statistics])
def test_broken_files_are_named(read, kind, tmp_path):
    path = tmp_path / "a.npz"
    BROKEN[kind](path)
    with pytest.raises(UsageError, match="--flag must be a .*Received: .*a.npz"):
        read(path, "--flag")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pool": np.zeros((3, 2))}, "must hold an array `features`.* with pool"),
        ({"features": np.zeros((3, 2, 2))}, r"matrix of numbers.* shape \(3, 2, 2\)"),
        ({"features": np.array([["a"]])}, "matrix of numbers.* dtype <U1"),
        ({"features": np.zeros((3, 2)), "logits": np.full((3, 2), np.nan)}, "finite logits"),
        ({"features": np.zeros((3, 2)), "logits": np.zeros((4, 2))}, "of the same length"),
        ({"features": np.zeros((3, 2)), "labels": np.zeros(3)}, "labels of --flag as whole"),
    ],
)
def test_feature_files_that_do_not_fit_are_named(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError, match=message):
        read_features(tmp_path / "a.npz", "--flag")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"sigma": np.zeros((2, 2))}, "as one of mu/sigma, mean/cov, .* with sigma"),
        ({"mu": np.zeros(3), "sigma": np.zeros((2, 2))}, r"shapes \(3,\) and \(2, 2\)"),
        ({"mu": np.full(2, np.nan), "sigma": np.zeros((2, 2))}, "expected a finite mean"),
    ],
)
def test_statistics_files_that_do_not_fit_are_named(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError, match=message):
        read_statistics(tmp_path / "a.npz", "--flag")
