"""Scores of feature sets: sorted files, too few images, more than fit in memory."""

import numpy as np
import pytest

from keras_sagan.evaluation import scores
from keras_sagan.evaluation.scores import INCEPTION, FeatureSet, all_scores
from keras_sagan.metrics.frechet import frechet_distance
from keras_sagan.metrics.moments import Moments
from keras_sagan.metrics.protocol import PROTOCOLS

RNG = np.random.default_rng(0)


def classes(count, width=4):
    """Features of six classes that are far from each other."""
    labels = RNG.integers(0, 6, count)
    return (10 * labels[:, None] + RNG.normal(size=(count, width))).astype(np.float32)


def values(real, fake, protocol="tfgan"):
    return all_scores(real, fake, PROTOCOLS[protocol], INCEPTION, accuracy=False)


def test_files_sorted_by_class_have_the_precision_of_shuffled_ones(monkeypatch):
    monkeypatch.setattr(scores, "NEIGHBORS", 300)
    real, fake = classes(900), classes(900)
    in_order = real[np.argsort(real[:, 0])]
    found = [values(FeatureSet(part), FeatureSet(fake)) for part in (real, in_order)]
    for name in ("precision", "recall"):
        assert found[0][name]["value"] > 0.8
        assert found[1][name]["value"] == pytest.approx(found[0][name]["value"], abs=0.1)


def test_too_few_images_for_one_score_leave_the_others():
    real, fake = classes(3000), FeatureSet(classes(5), RNG.normal(size=(5, 7)))
    found = values(FeatureSet(real), fake, "ttur")
    assert "at least 10 logits" in found["is"]["unavailable"]
    assert "at least 6 images in each set" in found["kid"]["unavailable"]
    assert found["fid"]["value"] == pytest.approx(frechet_distance(real, fake.features), rel=1e-9)


def test_sets_too_large_for_memory_are_scored_by_statistics_and_a_part(monkeypatch):
    monkeypatch.setattr(scores, "MOST", 500)
    real, fake = classes(900), classes(600)
    statistics = Moments.of(real).statistics()
    found = values(FeatureSet(real, statistics=statistics), FeatureSet(fake))
    assert found["fid"]["value"] == pytest.approx(frechet_distance(real, fake), rel=1e-9)
    assert (found["fid"]["tfgan"], found["fid"]["n_real"]) == (None, 900)
    assert (found["kid"]["n_real"], found["kid"]["n_fake"]) == (500, 500)
    assert found["kid"]["relative_difference"] < 1e-6
