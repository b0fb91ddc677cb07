"""What every layer promises in a user's own model: shapes, policies, training and penalties."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_cases import LABELS, LAYERS, built, evaluation, values, wrapped

from keras_sagan.extractors.trained import build_network
from keras_sagan.layers import attend
from keras_sagan.networks import dcgan, sagan
from keras_sagan.networks.dcgan import Head


@pytest.fixture(params=LAYERS)
def case(request):
    return LAYERS[request.param]


def cases_of(holds):
    """The names of the cases for whose class, input and further call arguments `holds`."""
    kept = [name for name, (kind, _, inputs, call) in LAYERS.items() if holds(kind, inputs, call)]
    return pytest.mark.parametrize("case", kept, indirect=True)


def vectors_of(layer):
    return [v.numpy() for v in layer.variables if v.name == "vector_u" and v.shape[1] > 1]


def model_of(layer, inputs, call, known=True):
    """A functional model of the layer, which may not know the sizes of images; and its input."""
    shape = inputs.shape[1:] if known or inputs.ndim < 4 else (None, None, inputs.shape[3])
    symbol = keras.Input(shape, dtype=str(inputs.dtype))
    if "labels" not in call:
        return keras.Model(symbol, layer(symbol)), inputs
    labels = keras.Input((), dtype="int32")
    return keras.Model([symbol, labels], layer(symbol, labels=labels)), [inputs, LABELS]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_shape_and_dtype_are_known_before_a_call(case, policy):
    _, _, inputs, call = case
    layer = built(case, dtype=policy)
    outputs = layer(inputs, **evaluation(call))
    assert tuple(layer.compute_output_shape(inputs.shape)) == outputs.shape
    symbolic = model_of(layer, inputs, call)[0].output
    assert (symbolic.shape[1:], symbolic.dtype) == (outputs.shape[1:], outputs.dtype.name)


@pytest.mark.slow_except("attention", "conv")
def test_unknown_batch_height_and_width(case):
    layer_class, arguments, inputs, call = case
    if layer_class is Head:
        with pytest.raises(ValueError, match=r"known height and width.*Received: input_shape="):
            layer_class(**arguments)(keras.Input((None, None, 16)), labels=keras.Input(()))
        return
    layer = built(case)
    model, given = model_of(layer, inputs, call, known=False)
    expected = layer(inputs, **evaluation(call))
    signature = [tf.TensorSpec(symbol.shape, symbol.dtype) for symbol in model.inputs]
    compiled = tf.function(lambda *given: model(given if given[1:] else given[0]), signature)
    outputs = compiled(*given) if isinstance(given, list) else compiled(given)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


# What Keras' own layers say is not ours.
@cases_of(lambda kind, inputs, call: inputs.ndim == 4 and kind is not wrapped)
def test_unknown_channels_and_other_ranks_are_named(case):
    layer_class, arguments, _, call = case
    for shape in ([4, 4, None], [4, 16]):
        with pytest.raises(ValueError, match="Received: input_shape="):
            layer_class(**arguments)(keras.Input(shape), **evaluation(call))


@cases_of(lambda kind, inputs, call: inputs.ndim > 1 and "labels" not in call)
def test_time_distributed_applies_it_to_each_frame(case):
    _, _, inputs, _ = case
    layer = built(case)
    frames = np.stack([inputs, 2 * inputs], axis=1)
    outputs = keras.layers.TimeDistributed(layer)(frames)
    np.testing.assert_allclose(outputs[:, 1], layer(2 * inputs), rtol=1e-4, atol=1e-4)


@cases_of(lambda kind, inputs, call: "advance_u" in call)
def test_training_calls_advance_u_unless_told_otherwise(case):
    _, _, inputs, call = case
    layer, labels = built(case), evaluation(call)
    before = vectors_of(layer)
    assert bool(before) == getattr(layer, "normalize", True)
    for still in ({}, {"training": False}, {"training": True, "advance_u": False}):
        layer(inputs, **labels, **still)
        np.testing.assert_equal(vectors_of(layer), before)
    layer(inputs, **labels, training=True)
    for vector, old in zip(vectors_of(layer), before, strict=True):
        assert not np.array_equal(vector, old)


def test_a_model_around_it_decides_by_training(case):
    _, _, inputs, call = case
    layer = built(case)
    model, given = model_of(layer, inputs, call)
    before = values(layer)
    model(given, training=False)
    np.testing.assert_equal(values(layer), before)
    vectors = vectors_of(layer)
    model(given, training=True)
    for vector, old in zip(vectors_of(layer), vectors, strict=True):
        assert not np.array_equal(vector, old)


@pytest.mark.slow_except("attention", "conv")
def test_float16_policy(case):
    _, _, inputs, call = case
    exact, low = built(case), built(case, dtype="mixed_float16")
    expected = exact(inputs, **call).numpy()
    outputs = np.asarray(low(inputs, **call), "float32")
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=0.01 * np.abs(expected).max())
    assert {variable.dtype for variable in low.variables} == {"float32"}


def converge(layer):
    """Gives every kernel its exact singular vector: there sigma's gradient is the true one."""
    for part in layer._flatten_layers():
        if hasattr(part, "vector_u"):
            kernel = part.kernel.numpy()
            matrix = part.matrix(kernel) if hasattr(part, "matrix") else kernel
            matrix = np.reshape(matrix, [-1, part.vector_u.shape[1]])
            part.vector_u.assign(np.linalg.svd(matrix)[2][:1])


def penalty(layer, inputs, call):
    """The squared norm of the gradient with respect to the inputs, as of R1."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = tf.reduce_sum(tf.sin(layer(inputs, **call)))
    return tf.reduce_sum(tape.gradient(outputs, inputs) ** 2)


@pytest.mark.slow_except("attention", "conv")
@cases_of(lambda kind, inputs, call: inputs.ndim > 1)  # Labels have no gradient.
def test_gradient_of_a_gradient_penalty(case):
    """Against central differences along one direction in all weights."""
    _, _, inputs, call = case
    layer = built(case, dtype="float64")
    converge(layer)
    call = {name: value for name, value in call.items() if name != "advance_u"}
    images = tf.constant(inputs, tf.float64)
    with tf.GradientTape() as tape:
        value = penalty(layer, images, call)
    weights = layer.trainable_variables
    found = tape.gradient(value, weights, unconnected_gradients="zero")
    draw, step, state = np.random.default_rng(5), 1e-6, values(layer)
    directions = [draw.normal(size=weight.shape) for weight in weights]
    sides = []
    for sign in (1, -1):
        layer.set_weights(state)
        for weight, direction in zip(weights, directions, strict=True):
            weight.assign_add(sign * step * direction)
        sides.append(penalty(layer, images, call))
    actual = sum(np.sum(g * d) for g, d in zip(found, directions, strict=True))
    np.testing.assert_allclose(actual, (sides[0] - sides[1]) / (2 * step), rtol=1e-4)


@pytest.mark.slow_except("False")
@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_gradient_of_a_gradient_through_blocks(jit_compile):
    draw = np.random.default_rng(6)
    given = [tf.constant(draw.normal(size=size), tf.float32) for size in ((2, 16, 3), (2, 8, 3))]
    given.append(tf.constant(draw.normal(size=(2, 8, 5)), tf.float32))

    def second(query, key, value, rows):
        arguments = [query, key, value]
        with tf.GradientTape() as outer:
            outer.watch(arguments)
            with tf.GradientTape() as inner:
                inner.watch(arguments)
                at_once = attend.attend_at_once(*arguments)
                outputs = attend.attend_in_blocks(*arguments, rows) if rows else at_once
                loss = tf.reduce_sum(tf.sin(outputs))
            norms = sum(tf.reduce_sum(g**2) for g in inner.gradient(loss, arguments))
        return outer.gradient(norms, arguments)

    compiled = tf.function(second, jit_compile=jit_compile) if jit_compile is not None else second
    for found, expected in zip(compiled(*given, 4), second(*given, 0), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_gradient_of_a_gradient_through_the_fused_batch_normalization():
    results = []
    for fast in (True, False):
        layer_class, arguments, inputs, call = LAYERS["norm_plain"]
        layer = built((layer_class, arguments | {"fast": fast}, inputs, call))
        images = tf.constant(inputs)
        with tf.GradientTape() as tape:
            value = penalty(layer, images, call)
        results.append(tape.gradient(value, layer.trainable_variables, None, "zero"))
    for fast, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-3, atol=1e-3)


def test_channels_first_is_refused_by_layers_and_ignored_by_networks():
    sizes = {"image_size": 16, "channels": 4, "num_classes": 3}
    before = sagan.discriminator(**sizes), dcgan.discriminator(**sizes)
    shapes = [variable.shape for variable in build_network((16, 16, 3), 3).variables]
    keras.config.set_image_data_format("channels_first")
    try:
        for layer_class, arguments, inputs, _ in LAYERS.values():
            if inputs.ndim == 4 and layer_class.__name__ in ("SpectralConv2D", "SelfAttention"):
                with pytest.raises(ValueError, match=r"Received: image_data_format='channels_fir"):
                    layer_class(**arguments)
        after = sagan.discriminator(**sizes), dcgan.discriminator(**sizes)
        copy = keras.models.clone_model(after[0])
        assert [variable.shape for variable in build_network((16, 16, 3), 3).variables] == shapes
    finally:
        keras.config.set_image_data_format("channels_last")
    images = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype("float32")
    for old, new in zip((*before, before[0]), (*after, copy), strict=True):
        new.set_weights(old.get_weights())
        np.testing.assert_array_equal(new(images, LABELS[:3]), old(images, LABELS[:3]))
