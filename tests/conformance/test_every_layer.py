"""What every layer promises: saving, XLA, bfloat16 and replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_cases import IMAGES, LABELS, LAYERS, built, evaluation, randomize, values

from keras_sagan.networks.blocks import GeneratorBlock


@pytest.fixture(params=LAYERS)
def case(request):
    return LAYERS[request.param]


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
    copy = type(layer).from_config(dict(config))  # Keras takes the layer out of it.
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


@pytest.mark.slow_except("attention", "conv")
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


@pytest.mark.slow_except("attention", "conv")
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


@pytest.mark.slow_except("attention", "conv")
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
