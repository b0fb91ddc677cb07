"""Inception score and label accuracy against closed forms and SciPy's entropy."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from keras_sagan.errors import UsageError
from keras_sagan.metrics.inception_score import inception_score, label_accuracy

RNG = np.random.default_rng(0)


def one_hot(labels, classes, logit):
    return logit * np.eye(classes)[labels]


def score(logits):
    return inception_score(logits)[0]


def test_sure_and_varied_images_score_the_number_of_classes():
    labels = np.arange(200) % 10
    assert score(one_hot(labels, 10, 30)) == pytest.approx(10 * (1 - 3e-11), rel=1e-11)
    assert score(one_hot(labels, 10, 1e3)) == pytest.approx(10, rel=1e-15)


def test_equal_images_score_one():
    assert score(np.tile(RNG.normal(size=10), (50, 1))) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("logit", [30, 1e3])
def test_classes_without_images_count_for_nothing(logit):
    """With logit 1000 their probability is zero exactly, where others give NaN."""
    assert score(one_hot(np.arange(60) % 3, 10, logit)) == pytest.approx(3, rel=1e-9)


def test_less_sure_images_score_less():
    p = np.full((10, 10), 0.3 / 9)
    np.fill_diagonal(p, 0.7)
    entropy = -0.7 * np.log(0.7) - 0.3 * np.log(0.3 / 9)
    assert score(np.log(p)) == pytest.approx(np.exp(np.log(10) - entropy), rel=1e-13)


def test_score_is_that_of_scipys_entropy():
    logits = 3 * RNG.normal(size=(500, 7))
    p = scipy.special.softmax(logits, axis=1)
    expected = np.exp(scipy.stats.entropy(p, p.mean(axis=0), axis=1).mean())
    assert score(logits) == pytest.approx(expected, rel=1e-13)
    shifts = 100 * RNG.normal(size=(500, 1))
    assert score(logits + shifts) == pytest.approx(expected, rel=1e-11)


def test_splits_are_of_shuffled_images():
    sorted_by_class = one_hot(np.repeat(np.arange(10), 500), 10, 8.0)
    mean, deviation = inception_score(sorted_by_class, splits=10)
    assert mean == pytest.approx(score(sorted_by_class), rel=0.02)
    assert 0 < deviation < 0.1


def test_deviation_is_that_of_the_splits():
    logits = 3 * RNG.normal(size=(103, 5))  # Not a multiple of the splits.
    order = np.random.RandomState(2020).permutation(103)
    scores = [score(part) for part in np.array_split(logits[order], 4)]
    assert inception_score(logits, splits=4) == pytest.approx((np.mean(scores), np.std(scores)))


def test_what_cannot_be_scored_is_named():
    with pytest.raises(UsageError, match="expected at least 10 logits. Received: 4"):
        inception_score(np.zeros((4, 2)), splits=10)
    with pytest.raises(UsageError, match="expected finite logits"):
        inception_score(np.array([[0, np.nan], [0, 0]]))


def test_label_accuracy_counts_the_images_of_the_class_asked_for():
    logits = np.array([[2, 1, 0], [0, 1, 0], [0, 0, 1], [5, 0, 1]])
    assert label_accuracy(logits, np.array([0, 1, 2, 2])) == 0.75
