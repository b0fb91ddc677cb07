"""Noise as a function of seed, step and purpose."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_sagan.sampling import noise
from keras_sagan.sampling.sampler import latents_of

UNIFORM = (5, [1, 1, 1, 1])  # z_dim and class weights.


def test_numbers_repeat_for_one_place_and_differ_for_others():
    seed = tf.constant([0, 7])
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    drawn = [
        noise.latents_and_labels(noise.derive_seed(seed, *place), 6, *UNIFORM) for place in places
    ]
    again = noise.latents_and_labels(noise.derive_seed(seed, 1, 0), 6, *UNIFORM)
    np.testing.assert_array_equal(drawn[2][0], again[0])
    np.testing.assert_array_equal(drawn[2][1], again[1])
    latents = np.stack([latents for latents, _ in drawn])
    assert len(np.unique(latents)) == latents.size


def test_latents_are_normal_and_labels_uniform():
    latents, labels = noise.latents_and_labels(tf.constant([0, 1]), 4000, *UNIFORM)
    assert scipy.stats.kstest(np.ravel(latents), "norm").pvalue > 1e-3
    counts = np.bincount(labels, minlength=4)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_labels_are_as_frequent_as_their_weights():
    _, labels = noise.latents_and_labels(tf.constant([0, 1]), 4000, 5, [1000, 10, 2990])
    counts = np.bincount(labels, minlength=3)
    assert scipy.stats.chisquare(counts, [1000, 10, 2990]).pvalue > 1e-3


def test_coins_are_fair_and_independent_of_labels():
    seed = tf.constant([0, 1])
    coins = noise.coins(seed, 4000).numpy()
    assert scipy.stats.binomtest(int(coins.sum()), 4000).pvalue > 1e-3
    _, labels = noise.latents_and_labels(seed, 4000, 5, [1, 1])
    table = [[np.sum(coins & (labels == i)), np.sum(~coins & (labels == i))] for i in (0, 1)]
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("truncation", [0.5, 2.0, 10.0])
def test_truncated_latents_have_the_truncated_normal_distribution(truncation):
    latents = np.ravel(latents_of(3, 4000, 5, truncation))
    assert np.abs(latents).max() <= truncation
    expected = scipy.stats.truncnorm(-truncation, truncation)
    assert scipy.stats.kstest(latents, expected.cdf).pvalue > 1e-3


def test_sampling_seeds_differ_from_each_other():
    assert not np.isin(latents_of(0, 10, 5), latents_of(1, 10, 5)).any()
