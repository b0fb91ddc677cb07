"""Layers in a user's own model, trained by Keras' `fit`."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.layers import (
    SelfAttention,
    SpectralConv2D,
    SpectralDense,
    SpectralNormalization,
)

draw = np.random.default_rng(0)
IMAGES = draw.normal(size=(32, 8, 8, 3)).astype("float32")
TARGETS = draw.normal(size=(32, 1)).astype("float32")


def make_model():
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            SpectralConv2D(8),
            SelfAttention(),
            SpectralNormalization(keras.layers.Conv2D(8, 3, strides=2, activation="relu")),
            keras.layers.GlobalAveragePooling2D(),
            SpectralDense(4),
            keras.layers.Dense(1),
        ]
    )


def normalized_layers(model):
    return [layer for layer in model._flatten_layers() if hasattr(layer, "normalized_kernel")]


def largest_singular_value(layer):
    kernel = layer.normalized_kernel().numpy()
    return np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)


SLOW = [pytest.param(way, marks=pytest.mark.slow) for way in ("xla", "bfloat16", "replicas")]


@pytest.mark.parametrize("way", ["plain", *SLOW])
def test_kernels_in_use_have_norm_one_after_fit(way, two_replicas):
    scope = two_replicas.scope() if way == "replicas" else contextlib.nullcontext()
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if way == "bfloat16" else "float32")
    try:
        with scope:
            keras.utils.set_random_seed(0)
            model = make_model()
            model.compile(keras.optimizers.Adam(2e-4), "mse", jit_compile=way == "xla")
    finally:
        keras.config.set_dtype_policy(policy)
    layers = normalized_layers(model)
    assert len(layers) == 7
    before = [layer.vector_u.numpy() for layer in layers]
    model.fit(IMAGES, TARGETS, batch_size=16, epochs=25, verbose=0)
    for layer, vector in zip(layers, before, strict=True):
        assert abs(largest_singular_value(layer) - 1) < 0.01, layer.path
        assert layer.vector_u.shape[1] == 1 or not np.array_equal(layer.vector_u, vector)
    weights = model.get_weights()
    model.evaluate(IMAGES, TARGETS, verbose=0)
    model.predict(IMAGES, verbose=0)
    np.testing.assert_equal(model.get_weights(), weights)


def test_summary_shows_shapes():
    model, lines = make_model(), []
    model.summary(print_fn=lambda text, **_: lines.append(text), line_length=120)
    assert sum("(None, None, None, 8)" in line for line in "".join(lines).split("\n")) == 3
    assert model(np.zeros([1, 12, 10, 3], "float32")).shape == (1, 1)


@pytest.mark.parametrize("size", [5, 7])
def test_odd_sizes_are_refused_where_they_become_known(size):
    model = keras.Sequential([keras.Input((None, None, 8)), SelfAttention()])
    with pytest.raises(ValueError, match=r"even height and width"):
        model(tf.zeros([1, size, 4, 8]))
