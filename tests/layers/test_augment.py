"""Random changes of images: values, gradients and probabilities, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from numpy_changes import (
    CHANGES,
    EVERY,
    cut,
    expected,
    make_draws,
    make_images,
    moved,
    with_gradient,
)

from keras_sagan.layers import Augment
from keras_sagan.layers.diffusion import draw_t

# Even, odd and oblong.
SIZES = [(8, 8), (17, 10)]


@pytest.mark.parametrize("policies", [*EVERY.split(","), EVERY])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_values(policies, size, p):
    layer, images = Augment(policies), make_images(16, *size)
    draws = make_draws(layer, images.shape)
    outputs = layer(images, draws=draws, p=p)
    np.testing.assert_allclose(outputs, expected(images, draws, policies, p), atol=2e-6)


@pytest.mark.parametrize("policies", [*EVERY.split(","), EVERY])
def test_gradient_is_that_of_the_affine_map(policies):
    """Every change is affine in the image, so NumPy's differences are its whole derivative."""
    layer, images = Augment(policies), make_images(3, 8, 9, 2)
    draws, upstream = make_draws(layer, images.shape), make_images(3, 8, 9, 2)[::-1].copy()
    _, gradient = with_gradient(layer, images, draws, 0.6, upstream)
    size = images[0].size
    directions = np.eye(size).reshape(size, *images.shape[1:])
    for i in range(len(images)):
        same = [np.repeat(draw[i : i + 1], size, axis=0) for draw in draws]
        ends = expected(images[i] + directions, same, policies, 0.6)
        start = expected(images[i : i + 1], [draw[i : i + 1] for draw in draws], policies, 0.6)
        derivative = np.sum((ends - start) * upstream[i], axis=(1, 2, 3))
        np.testing.assert_allclose(gradient[i], derivative.reshape(images.shape[1:]), atol=5e-6)


def test_second_gradient_equals_differences():
    """As of a gradient penalty on augmented images, with a cubic discriminator."""
    layer, images = Augment(EVERY, dtype="float64"), make_images(2, 8, 8, 2, "float64")
    draws = make_draws(layer, images.shape)

    def penalty(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(layer(images, draws=draws) ** 3)
        return tf.reduce_sum(tape.gradient(loss, images) ** 2)

    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        value = penalty(images)
    gradient = tape.gradient(value, images).numpy()
    direction = np.random.default_rng(0).normal(size=images.shape)
    slope = (penalty(images + 1e-5 * direction) - penalty(images - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-7)


def test_draws_get_no_gradient():
    layer, images = Augment(EVERY), make_images(2, 8, 8)
    draws = [tf.constant(draw) for draw in make_draws(layer, images.shape)]
    p = tf.constant(0.5)
    with tf.GradientTape() as tape:
        tape.watch([*draws, p])
        loss = tf.reduce_sum(layer(images, draws=tuple(draws), p=p))
    assert tape.gradient(loss, [*draws, p]) == [None, None, None]


@pytest.mark.parametrize("policies", ["translation,cutout", "color", "diffusion"])
def test_xla_compiles_once_for_every_p_and_equals_eager(policies):
    layer, images = Augment(policies), make_images(16, 16, 16)
    draws, traces = make_draws(layer, images.shape), []

    @tf.function(jit_compile=True)
    def compiled(images, draws, p):
        traces.append(p)
        return with_gradient(layer, images, draws, p, images)

    for p in (0.0, 0.3, 1.0):
        arguments = images, draws, tf.constant(p)
        results = compiled(*arguments), with_gradient(layer, *arguments, images)
        for value, eager in zip(*results, strict=True):
            if policies == "translation,cutout":
                np.testing.assert_array_equal(value, eager)
            np.testing.assert_allclose(value, eager, rtol=1e-5, atol=1e-6)
    assert len(traces) == 1


def test_p_of_zero_changes_no_bit():
    layer, images = Augment("color,translation,cutout", p=0.0), make_images(64, 8, 8)
    images[0] = -0.0
    draws = make_draws(layer, images.shape)
    draws[0][1] = 0.0
    outputs = layer(images, draws=draws).numpy()
    np.testing.assert_array_equal(outputs.view("int32"), images.view("int32"))


@pytest.mark.parametrize(
    ("policy", "unchanged"),
    # Of the shifts of 8 pixels by at most 1, one in nine is none.
    [("color", 0.7**3), ("translation", 0.7 + 0.3 / 9), ("cutout", 0.7)],
)
def test_p_is_the_probability_of_each_transformation(policy, unchanged):
    layer, images = Augment(policy, p=0.3, seed=1), make_images(4000, 8, 8)
    same = np.all(layer(images).numpy() == images, axis=(1, 2, 3))
    assert abs(same.mean() - unchanged) < 4 * np.sqrt(unchanged * (1 - unchanged) / 4000)
    same = np.all(layer(images, p=1.0).numpy() == images, axis=(1, 2, 3))
    assert (same.mean() > 0) == (policy == "translation")


def test_gates_are_independent_numbers():
    layer, images = Augment("color,cutout"), make_images(8, 8, 8)
    uniform = np.full((8, layer.uniforms), 0.9, "float32")
    for i, gate in enumerate((0, 2, 4, 6)):
        uniform[i, gate] = 0.1
    outputs = layer(images, draws=(uniform,), p=0.5).numpy()
    np.testing.assert_array_equal(outputs[4:], images[4:])
    np.testing.assert_allclose(outputs[0], images[0] + 0.4, atol=1e-6)
    for i, (_, change) in enumerate(CHANGES["color"]):
        np.testing.assert_allclose(outputs[i], change(images[i], 0.9), atol=1e-6)
    np.testing.assert_array_equal(outputs[3], cut(images[3], 0.9, 0.9))


@pytest.mark.parametrize("number", [0.0, 1.0 - 2.0**-24, 1.0])
def test_extreme_numbers_stay_within_bounds(number):
    """A float64 number below 1 may be 1 in float32."""
    t = draw_t(tf.fill([1, 1, 1, 1], tf.constant(number)), tf.constant(1000.0))
    assert float(np.squeeze(t)) == (2 if number == 0 else 1000)
    layer, images = Augment("translation,cutout"), make_images(1, 16, 16)
    outputs = layer(images, draws=(np.full([1, 6], number, "float32"),), p=2.0).numpy()
    edge = 0 if number == 0 else 1 - 1e-9
    np.testing.assert_array_equal(outputs[0], cut(moved(images[0], edge, edge), edge, edge))
