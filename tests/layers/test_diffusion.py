"""Noise of a diffusion process: how much, and how often, against the released code's tables."""

import numpy as np
import pytest
import tensorflow as tf
from numpy_changes import make_images

from keras_sagan.layers import Augment
from keras_sagan.layers.diffusion import diffuse, draw_t, sum_log_alphas


@pytest.mark.parametrize("steps", [10, 257, 1000])
def test_later_t_are_more_probable(steps):
    """Of equally spaced numbers, each t gets the share that the released code gives it."""
    numbers = ((np.arange(4500) + 0.5) / 4500).astype("float32")
    drawn = draw_t(tf.constant(numbers)[:, None, None, None], tf.constant(steps, tf.float32))
    shares = np.bincount(np.ravel(drawn).astype(int), minlength=steps + 1) / len(numbers)
    expected = np.concatenate([[0], np.arange(steps) / np.arange(steps).sum()])
    np.testing.assert_allclose(np.cumsum(shares), np.cumsum(expected), atol=1.01 / len(numbers))
    if steps == 10:
        np.testing.assert_allclose(shares, expected, rtol=1e-12)


@pytest.mark.parametrize("p", [0.0, 0.25, 0.6, 1.0])
def test_products_of_alphas_are_exact_to_1e_5(p):
    steps = 10 + round(990 * p)
    t = np.arange(steps + 1, dtype="float32")[:, None, None, None]
    found = np.exp(sum_log_alphas(tf.constant(t), tf.constant(float(steps))).numpy().ravel())
    products = np.concatenate([[1], np.cumprod(1 - np.linspace(1e-4, 2e-2, steps))])
    np.testing.assert_allclose(found, products, rtol=1e-5)
    assert found[0] == 1
    assert p < 1 or products[-1] < 5e-5


def test_half_of_the_images_get_no_noise():
    layer, images = Augment("diffusion", seed=3), make_images(4000, 2, 2)
    for p in (0.0, 1.0):
        same = np.all(layer(images, p=p).numpy() == images, axis=(1, 2, 3))
        assert abs(same.mean() - 0.5) < 4 * np.sqrt(0.25 / 4000)


def test_noise_of_the_last_step_is_all_that_is_left():
    ones = tf.ones([1, 4, 4, 1])
    gate, number = (tf.fill([1, 1, 1, 1], value) for value in (0.0, 0.99999))
    outputs = diffuse(ones, gate, number, 3 * ones, tf.constant(1.0))
    np.testing.assert_allclose(outputs, np.sqrt(4e-5) + 3 * 0.05, atol=1e-3)


def test_probabilities_above_one_count_as_one():
    images = tf.constant(make_images(4, 2, 2))
    gate = tf.zeros([4, 1, 1, 1])
    number = tf.reshape([0.1, 0.5, 0.9, 0.99], [4, 1, 1, 1])
    outputs = [diffuse(images, gate, number, images, tf.constant(p)) for p in (1.0, 1.5)]
    np.testing.assert_array_equal(*outputs)
