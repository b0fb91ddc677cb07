"""Noise as a function of seed, step and purpose."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.training import noise
from keras_sagan.training.sampling import latents_of

CONFIG = Config(num_classes=4, z_dim=5)


def test_numbers_repeat_for_one_place_and_differ_for_others():
    seed = tf.constant([0, 7])
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    drawn = [noise.latents_and_labels(noise.fold(seed, *place), 6, CONFIG) for place in places]
    again = noise.latents_and_labels(noise.fold(seed, 1, 0), 6, CONFIG)
    np.testing.assert_array_equal(drawn[2][0], again[0])
    np.testing.assert_array_equal(drawn[2][1], again[1])
    latents = np.stack([latents for latents, _ in drawn])
    assert len(np.unique(latents)) == latents.size


def test_latents_are_normal_and_labels_uniform():
    latents, labels = noise.latents_and_labels(tf.constant([0, 1]), 4000, CONFIG)
    assert scipy.stats.kstest(np.ravel(latents), "norm").pvalue > 1e-3
    counts = np.bincount(labels, minlength=4)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_one_class_where_there_are_none():
    _, labels = noise.latents_and_labels(tf.constant([0, 1]), 9, Config(num_classes=0))
    np.testing.assert_array_equal(labels, np.zeros(9))


@pytest.mark.parametrize("truncation", [0.5, 2.0, 10.0])
def test_truncated_latents_have_the_truncated_normal_distribution(truncation):
    latents = np.ravel(latents_of(3, 4000, 5, truncation))
    assert np.abs(latents).max() <= truncation
    expected = scipy.stats.truncnorm(-truncation, truncation)
    assert scipy.stats.kstest(latents, expected.cdf).pvalue > 1e-3


def test_sampling_seeds_differ_from_each_other():
    assert not np.isin(latents_of(0, 10, 5), latents_of(1, 10, 5)).any()
