"""Losses and penalties against NumPy, and the weight gradients of a gradient penalty."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan import losses
from keras_sagan.layers import SelfAttention, SpectralConv2D, attend
from keras_sagan.losses import LOSSES, lecam_penalty, r1_penalty
from keras_sagan.options import OptimizationOptions

REAL = np.array([-2.0, 0.5, 3.0], "float32")
FAKE = np.array([-3.0, 0.25, 2.0], "float32")


def softplus(values):
    return np.log1p(np.exp(values))


@pytest.mark.parametrize(
    ("name", "d_expected", "g_expected"),
    [
        ("hinge", (3 + 0.5 + 0) / 3 + (0 + 1.25 + 3) / 3, -FAKE.mean()),
        (
            "non_saturating",
            softplus(-REAL).mean() + softplus(FAKE).mean(),
            softplus(-FAKE).mean(),
        ),
        (
            "least_squares",
            (9 + 0.25 + 4) / 6 + (9 + 0.0625 + 4) / 6,
            (16 + 0.5625 + 1) / 6,
        ),
        ("wasserstein", FAKE.mean() - REAL.mean(), -FAKE.mean()),
    ],
)
def test_values(name, d_expected, g_expected):
    d_loss, g_loss = LOSSES[name]
    np.testing.assert_allclose(d_loss(REAL, FAKE), d_expected, rtol=1e-6)
    np.testing.assert_allclose(g_loss(FAKE), g_expected, rtol=1e-6)


def test_every_loss_is_public_and_an_option():
    fields = OptimizationOptions.__dataclass_fields__
    assert fields["loss"].metadata["rule"].choices == tuple(LOSSES)
    public = {f"{side}_{name}" for name in LOSSES for side in ("discriminator", "generator")}
    assert public | {"lecam_penalty", "r1_penalty"} == set(losses.__all__)
    for name, (d_loss, g_loss) in LOSSES.items():
        assert d_loss is getattr(losses, f"discriminator_{name}")
        assert g_loss is getattr(losses, f"generator_{name}")


def test_lecam_penalty_counts_the_sides_that_the_released_code_counts():
    """Real logits above the average of fakes, and fakes below the average of real images."""
    value = lecam_penalty(REAL, FAKE, real_average=1.0, fake_average=-1.0)
    expected = (0 + 1.5**2 + 4**2) / 3 + (4**2 + 0.75**2 + 0) / 3
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_lecam_penalty_takes_averages_as_constants():
    real, fake, *averages = (tf.constant(value) for value in (REAL, FAKE, 1.0, -1.0))
    with tf.GradientTape() as tape:
        tape.watch([real, fake, *averages])
        value = lecam_penalty(real, fake, *averages)
    gradients: Any = tape.gradient(value, [real, fake, *averages])
    np.testing.assert_allclose(gradients[0], np.array([0, 3, 8]) / 3, rtol=1e-6)
    np.testing.assert_allclose(gradients[1], np.array([-8, -1.5, 0]) / 3, rtol=1e-6)
    assert gradients[2:] == [None, None]


IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 2)).astype("float32")


def make_discriminator(dtype="float32"):
    """A convolution, and attention with a gamma that is not zero; singular vectors are exact."""
    convolution, attention = SpectralConv2D(8, dtype=dtype), SelfAttention(dtype=dtype)
    convolution.build((None, 8, 8, 2))
    attention.build((None, 8, 8, 8))
    rng = np.random.default_rng(1)
    for variable in weights_of([convolution, attention]):
        variable.assign(rng.normal(size=variable.shape) / 2)
    parts = [getattr(attention, name) for name in ("query", "key", "value", "output_projection")]
    for layer in (convolution, *parts):
        # Only there is the norm's gradient, which takes the vectors as constants, all of it.
        kernel = layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1])
        layer.vector_u.assign(np.linalg.svd(kernel)[2][:1])
    return convolution, attention


def discriminate(layers, images) -> Any:
    features = images
    for layer in layers:
        features = layer(features, advance_u=False)
    features = tf.cast(features, images.dtype)
    return tf.reduce_sum(features * tf.nn.softplus(features), axis=[1, 2, 3])


def weights_of(layers):
    return [variable for layer in layers for variable in layer.trainable_variables]


def penalty_and_gradients(layers, images) -> Any:
    with tf.GradientTape() as tape:
        logits, penalty = r1_penalty(lambda x: discriminate(layers, x), images)
    return logits, penalty, *tape.gradient(penalty, weights_of(layers))


def test_r1_penalty_of_a_quadratic_form():
    """The logit x' A x / 2 + b' x has the gradient (A + A') x / 2 + b."""
    rng = np.random.default_rng(2)
    flat = IMAGES[:, :2, :2].reshape(3, 8).astype("float64")
    matrix, vector = rng.normal(size=(8, 8)), rng.normal(size=8)

    def form(images):
        rows = tf.reshape(images, [-1, 8])
        return tf.reduce_sum(rows * (rows @ matrix.T / 2 + vector), axis=1)

    logits, penalty = r1_penalty(form, flat.reshape(3, 2, 2, 2))
    gradients = flat @ (matrix + matrix.T) / 2 + vector
    np.testing.assert_allclose(logits, form(flat), rtol=1e-12)
    np.testing.assert_allclose(penalty, np.mean(np.sum(gradients**2, axis=1)) / 2, rtol=1e-12)


def test_r1_penalty_and_its_weight_gradients_equal_differences():
    layers, images = make_discriminator("float64"), tf.constant(IMAGES, tf.float64)
    logits, penalty, *gradients = penalty_and_gradients(layers, images)
    np.testing.assert_allclose(logits, discriminate(layers, images), rtol=1e-12)
    rng = np.random.default_rng(3)
    steps = 1e-5 * np.eye(128).reshape(128, 1, 8, 8, 2)
    ends = [discriminate(layers, tf.reshape(images + s * steps, [-1, 8, 8, 2])) for s in (1, -1)]
    slopes = np.reshape(ends[0] - ends[1], [128, 3]) / 2e-5
    np.testing.assert_allclose(penalty, np.square(slopes).sum(axis=0).mean() / 2, rtol=1e-6)
    assert len(gradients) == 7
    for variable, gradient in zip(weights_of(layers), gradients, strict=True):
        value, direction = variable.numpy(), rng.normal(size=variable.shape)
        ends = []
        for sign in (1, -1):
            variable.assign(value + sign * 1e-5 * direction)
            ends.append(r1_penalty(lambda x: discriminate(layers, x), images)[1])
        variable.assign(value)
        slope = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("rows", "jit_compile"),
    [(16, False), (16, True), pytest.param(64, True, marks=pytest.mark.slow)],
)
def test_r1_penalty_is_the_same_in_blocks_and_compiled(rows, jit_compile, monkeypatch):
    layers, images = make_discriminator(), tf.constant(IMAGES)
    whole = penalty_and_gradients(layers, images)
    monkeypatch.setattr(attend, "MOST", rows * 16)  # Of 64 queries and 16 keys.
    function = tf.function(penalty_and_gradients, jit_compile=jit_compile)
    graph = function.get_concrete_function(layers, images).graph
    assert any("While" in operation.type for operation in graph.get_operations()) == (rows < 64)
    for value, expected in zip(function(layers, images), whole, strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(value, expected, rtol=0, atol=2e-5 * scale)


def test_r1_penalty_of_bfloat16_networks_is_float32():
    layers = make_discriminator("mixed_bfloat16")
    _, penalty, *gradients = penalty_and_gradients(layers, tf.constant(IMAGES))
    _, expected, *_ = penalty_and_gradients(make_discriminator(), tf.constant(IMAGES))
    assert penalty.dtype == tf.float32
    np.testing.assert_allclose(penalty, expected, rtol=0.05)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
