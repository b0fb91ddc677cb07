"""What every layer promises: saving, XLA, bfloat16 and replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.layers import (
    ConditionalBatchNormalization,
    ResidualControl,
    SelfAttention,
    SpectralConv2D,
    SpectralDense,
    SpectralEmbedding,
)
from keras_sagan.networks.blocks import DiscriminatorBlock, GeneratorBlock, ProjectionHead
from keras_sagan.networks.dcgan import Head

rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(4, 4, 4, 16)).astype("float32")
VECTORS = rng.normal(size=(4, 5)).astype("float32")
LABELS = np.array([0, 2, 1, 2], "int32")

# Every layer with arguments that are no defaults, its input, and what else a training call takes.
LABELED, SPECTRAL = {"labels": LABELS}, {"advance_u": True}
TRAINING = {"training": True}
LAYERS = {
    "conv": (SpectralConv2D, {"filters": 3, "kernel_size": 5, "use_bias": False}, IMAGES, SPECTRAL),
    "conv_plain": (SpectralConv2D, {"filters": 3, "normalize": False}, IMAGES, SPECTRAL),
    "conv_up": (SpectralConv2D, {"filters": 3, "resample": "up"}, IMAGES, SPECTRAL),
    "conv_down": (
        SpectralConv2D,
        {"filters": 3, "resample": "down", "fast": False},
        IMAGES,
        SPECTRAL,
    ),
    "dense": (SpectralDense, {"units": 3, "kernel_initializer": "ones"}, VECTORS, SPECTRAL),
    "embedding": (SpectralEmbedding, {"num_classes": 3, "dim": 6}, LABELS, SPECTRAL),
    "attention": (SelfAttention, {}, IMAGES, SPECTRAL),
    "attention_plain": (SelfAttention, {"normalize": False, "fast": False}, IMAGES, SPECTRAL),
    "control": (ResidualControl, {}, IMAGES, SPECTRAL),
    "norm": (
        ConditionalBatchNormalization,
        {"num_classes": 3, "momentum": 0.5, "epsilon": 0.1},
        IMAGES,
        LABELED | TRAINING,
    ),
    "norm_plain": (ConditionalBatchNormalization, {"synchronized": True}, IMAGES, TRAINING),
    "g_block": (
        GeneratorBlock,
        {"filters": 6, "num_classes": 3, "momentum": 0.5},
        IMAGES,
        LABELED | TRAINING | SPECTRAL,
    ),
    "g_block_plain": (
        GeneratorBlock,
        {"filters": 6, "synchronized": True, "normalize": False, "fast": False},
        IMAGES,
        TRAINING,
    ),
    "d_block": (DiscriminatorBlock, {"filters": 6}, IMAGES, SPECTRAL),
    "d_block_first": (
        DiscriminatorBlock,
        {"filters": 6, "first": True, "fast": False},
        IMAGES,
        SPECTRAL,
    ),
    "d_block_last": (DiscriminatorBlock, {"filters": 16, "downsample": False}, IMAGES, SPECTRAL),
    "head": (ProjectionHead, {"num_classes": 3}, IMAGES, LABELED | SPECTRAL),
    "head_plain": (ProjectionHead, {"normalize": False}, IMAGES, SPECTRAL),
    "dcgan_head": (Head, {"num_classes": 3}, IMAGES, LABELED),
}


@pytest.fixture(params=LAYERS)
def case(request):
    return LAYERS[request.param]


def built(case, **settings):
    """The layer with distinct weights, so that two swapped ones cannot pass."""
    layer_class, arguments, inputs, call = case
    keras.utils.set_random_seed(0)
    layer = layer_class(**arguments, **settings)
    layer(inputs, **evaluation(call))
    randomize(layer)
    return layer


def randomize(layer):
    draw = np.random.default_rng(3)
    for variable in layer.variables:
        value = draw.normal(size=variable.shape) / 3
        variable.assign(1 + np.abs(value) if "variance" in variable.name else value)


def evaluation(call):
    return {name: value for name, value in call.items() if name == "labels"}


def values(layer):
    return [variable.numpy() for variable in layer.variables]


def gradients(layer, inputs, call):
    with tf.GradientTape() as tape:
        outputs = layer(inputs, **call)
        loss = tf.reduce_mean(tf.cast(outputs, tf.float32) ** 2)
    return [outputs, *tape.gradient(loss, layer.trainable_variables)]


def assert_close(actual, expected, tolerance):
    for a, b in zip(actual, expected, strict=True):
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(), 1))


def test_configuration_makes_an_equal_layer(case):
    layer = built(case)
    _, arguments, _, _ = case
    config = layer.get_config()
    for name in arguments:
        assert name in config
    copy = type(layer).from_config(config)
    assert copy.get_config() == config


def test_keras_file_holds_layer_and_weights(case, tmp_path):
    layer_class, arguments, inputs, call = case
    layer = layer_class(**arguments)
    example = keras.Input(inputs.shape[1:], dtype=str(inputs.dtype))
    labels = keras.Input((), dtype="int32")
    if "labels" in call:
        model = keras.Model([example, labels], layer(example, labels=labels))
        given = [inputs, LABELS]
    else:
        model, given = keras.Model(example, layer(example)), inputs
    randomize(model)
    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras", safe_mode=True)
    for ours, theirs in zip(values(model), values(loaded), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(model(given), loaded(given))


def test_xla_gives_the_same_outputs_gradients_and_state(case):
    _, _, inputs, call = case
    results = []
    for jit_compile in (False, True):
        layer = built(case)
        step = tf.function(gradients, jit_compile=jit_compile)
        results.append([*step(layer, tf.constant(inputs), call), *values(layer)])
    assert_close(results[1], results[0], 1e-5)


def test_evaluation_stores_nothing(case):
    _, _, inputs, call = case
    layer = built(case)
    before = values(layer)
    layer(inputs, **evaluation(call))
    for value, variable in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_bfloat16_computes_low_and_keeps_weights_bit_equal(case):
    _, _, inputs, call = case
    exact, layer = built(case), built(case, dtype="mixed_bfloat16")
    trained = [variable.numpy() for variable in layer.trainable_variables]
    outputs = layer(inputs, **call)
    assert outputs.dtype == (tf.float32 if "head" in layer.name else tf.bfloat16)
    for value, variable in zip(trained, layer.trainable_variables, strict=True):
        assert variable.dtype == "float32"
        np.testing.assert_array_equal(variable, value)
    expected = exact(inputs, **call).numpy()
    np.testing.assert_allclose(
        np.asarray(outputs, "float32"), expected, rtol=0, atol=0.05 * np.abs(expected).max()
    )
    for low, high in zip(layer.non_trainable_variables, exact.non_trainable_variables, strict=True):
        assert low.dtype == "float32"
        if low.name == "vector_u" and not isinstance(layer, GeneratorBlock):
            np.testing.assert_allclose(low, high, rtol=0, atol=1e-6)


def test_float64_policy_computes_in_float64(case):
    _, _, inputs, call = case
    low, exact = built(case), built(case, dtype="float64")
    outputs = exact(tf.cast(inputs, tf.float64) if inputs.dtype == np.float32 else inputs, **call)
    assert outputs.dtype == tf.float64
    assert {variable.dtype for variable in exact.variables} == {"float64"}
    assert_close([outputs, *values(exact)], [low(inputs, **call), *values(low)], 1e-5)


@pytest.mark.parametrize("name", ["head", "dcgan_head"])
def test_logits_are_float32_numbers_under_bfloat16(name):
    _, _, inputs, call = LAYERS[name]
    inputs = tf.cast(tf.cast(inputs, tf.bfloat16), tf.float32)
    exact, low = built(LAYERS[name]), built(LAYERS[name], dtype="mixed_bfloat16")
    np.testing.assert_allclose(low(inputs, **call), exact(inputs, **call), rtol=1e-5)


def test_attention_scores_are_not_rounded_under_bfloat16():
    layer = built(LAYERS["attention"], dtype="mixed_bfloat16")
    for convolution in (layer.query, layer.key):
        convolution.normalize = False
        convolution.kernel.assign(8 * convolution.kernel)
    query, key = (
        np.asarray(convolution(tf.cast(IMAGES, tf.bfloat16)), "float32")
        for convolution in (layer.query, layer.key)
    )
    key = key.reshape(4, 2, 2, 2, 2, -1).max(axis=(2, 4)).reshape(4, 4, -1)
    scores = query.reshape(4, 16, -1) @ key.swapaxes(1, 2)
    assert np.abs(scores).max() > 64
    np.testing.assert_allclose(
        layer.attention_map(tf.cast(IMAGES, tf.bfloat16)), tf.nn.softmax(scores), atol=1e-4
    )


def test_two_replicas_hold_bit_equal_u(case, two_replicas):
    """Each sees half of the batch; u depends on the kernel alone."""
    layer_class, arguments, inputs, call = case
    with two_replicas.scope():
        layer = layer_class(**arguments)
        layer(inputs, **evaluation(call))
        randomize(layer)

    @tf.function
    def step():
        def replica(half, labels):
            given = call | ({"labels": labels} if "labels" in call else {})
            return layer(half, **given)

        return two_replicas.run(replica, args=(split(inputs), split(LABELS)))

    def split(array):
        return two_replicas.experimental_distribute_values_from_function(
            lambda context: tf.constant(np.split(array, 2)[context.replica_id_in_sync_group])
        )

    before = values(layer)
    step()
    for value, variable in zip(before, layer.variables, strict=True):
        first, second = (copy.numpy() for copy in variable.value.values)
        if variable.trainable or variable.name == "vector_u":
            np.testing.assert_array_equal(first, second)
        if variable.name == "vector_u" and variable.shape[1] > 1 and "advance_u" in call:
            assert not np.array_equal(first, value), variable.path
