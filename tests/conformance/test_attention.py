"""Self-attention and its control against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.layers import ResidualControl, SelfAttention
from keras_sagan.layers.resample import average_pool, max_pool, upsample

IMAGES = np.random.default_rng(0).normal(size=(2, 4, 6, 16)).astype("float32")


def built(layer_class, **arguments):
    layer = layer_class(**arguments)
    layer(IMAGES)
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) / 2)
    return layer


def numpy_conv1x1(layer, images):
    return images @ layer.normalized_kernel().numpy()[0, 0]


def numpy_max_pool(images):
    batch, height, width, channels = images.shape
    squares = images.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return squares.max(axis=(2, 4))


def numpy_attention_map(layer, images):
    query = numpy_conv1x1(layer.query, images).reshape(2, 24, -1)
    key = numpy_max_pool(numpy_conv1x1(layer.key, images)).reshape(2, 6, -1)
    scores = np.einsum("bqc,bkc->bqk", query, key)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("normalize", [True, False])
def test_attention_is_the_released_form(normalize):
    layer = built(SelfAttention, normalize=normalize)
    weights = numpy_attention_map(layer, IMAGES)
    value = numpy_max_pool(numpy_conv1x1(layer.value, IMAGES)).reshape(2, 6, 8)
    attended = np.einsum("bqk,bkc->bqc", weights, value).reshape(2, 4, 6, 8)
    expected = IMAGES + layer.gamma.numpy() * numpy_conv1x1(layer.output_projection, attended)
    np.testing.assert_allclose(layer(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_attention_map_is_that_of_the_call():
    layer = built(SelfAttention)
    weights = layer.attention_map(IMAGES)
    assert weights.shape == (2, 24, 6)
    np.testing.assert_allclose(weights, numpy_attention_map(layer, IMAGES), atol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(weights, axis=-1), np.ones((2, 24)), rtol=1e-5)


@pytest.mark.parametrize("layer_class", [SelfAttention, ResidualControl])
def test_layer_starts_as_the_identity_and_only_gamma_learns_first(layer_class):
    layer = layer_class()
    with tf.GradientTape() as tape:
        outputs = layer(IMAGES)
        loss = tf.reduce_sum(outputs**2)
    np.testing.assert_array_equal(outputs, IMAGES)
    by_name = dict(
        zip(
            [variable.path for variable in layer.trainable_variables],
            tape.gradient(loss, layer.trainable_variables),
            strict=True,
        )
    )
    for path, gradient in by_name.items():
        assert bool(np.any(gradient)) == path.endswith("gamma"), path


def test_control_is_two_convolutions():
    layer = built(ResidualControl)
    hidden = tf.nn.conv2d(tf.nn.relu(IMAGES), layer.squeeze.normalized_kernel(), 1, "SAME")
    outputs = numpy_conv1x1(layer.output_projection, np.maximum(hidden.numpy(), 0))
    expected = IMAGES + layer.gamma.numpy() * outputs
    np.testing.assert_allclose(layer(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_control_has_as_many_parameters_as_attention():
    counts = [built(kind).count_params() for kind in (SelfAttention, ResidualControl)]
    trainable = [
        sum(int(np.prod(v.shape)) for v in built(kind).trainable_variables)
        for kind in (SelfAttention, ResidualControl)
    ]
    assert trainable[0] == trainable[1] == 1.25 * 16**2 + 1
    assert counts[0] != counts[1]  # They differ in singular vectors, which are not trained.


def test_control_does_not_see_beyond_its_kernel_and_attention_does():
    changed = IMAGES.copy()
    changed[:, 0, 0] += 10
    for layer_class, sees in ((ResidualControl, False), (SelfAttention, True)):
        layer = built(layer_class)
        far = (layer(changed) - layer(IMAGES)).numpy()[:, -1, -1]
        assert bool(np.any(far)) == sees


def test_advance_u_reaches_every_convolution():
    for layer_class, count in ((SelfAttention, 4), (ResidualControl, 2)):
        layer = built(layer_class)
        before = [variable.numpy() for variable in layer.non_trainable_variables]
        assert len(before) == count
        layer(IMAGES, advance_u=True)
        for value, variable in zip(before, layer.non_trainable_variables, strict=True):
            assert not np.array_equal(variable.numpy(), value), variable.path


@pytest.mark.parametrize("shape", [(1, 3, 4, 8), (1, 4, 3, 8)])
def test_shapes_that_cannot_be_pooled_are_named(shape):
    with pytest.raises(ValueError, match=r"even height and width\. Received"):
        SelfAttention()(np.zeros(shape, "float32"))


@pytest.mark.parametrize(("channels", "of_value"), [(4, 2), (1, 1)])
def test_few_channels_keep_one_in_each_convolution(channels, of_value):
    layer = SelfAttention()
    layer(np.zeros((1, 4, 4, channels), "float32"))
    assert layer.query.filters == layer.key.filters == 1
    assert layer.value.filters == of_value


def test_max_pool_equals_the_operation_and_its_gradient_with_ties():
    images = np.random.default_rng(2).integers(0, 3, (2, 4, 6, 5)).astype("float32")
    weights = np.random.default_rng(3).normal(size=(2, 2, 3, 5)).astype("float32")
    results = []
    for pool in (max_pool, lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID")):
        inputs = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = pool(inputs)
            loss = tf.reduce_sum(outputs * weights)
        results.append((outputs.numpy(), tape.gradient(loss, inputs).numpy()))
    np.testing.assert_array_equal(*[outputs for outputs, _ in results])
    np.testing.assert_array_equal(*[gradient for _, gradient in results])


def test_max_pool_gradient_has_no_select_and_scatter():
    @tf.function(jit_compile=True)
    def gradient(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(max_pool(images) ** 2)
        return tape.gradient(loss, images)

    program = gradient.experimental_get_compiler_ir(tf.constant(IMAGES))(stage="hlo")
    assert "select-and-scatter" not in program


def test_upsample_repeats_and_its_gradient_sums():
    images = tf.constant(IMAGES)
    weights = np.random.default_rng(3).normal(size=(2, 8, 12, 16)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = upsample(images)
        loss = tf.reduce_sum(outputs * weights)
    np.testing.assert_array_equal(outputs, IMAGES.repeat(2, axis=1).repeat(2, axis=2))
    expected = weights.reshape(2, 4, 2, 6, 2, 16).sum(axis=(2, 4))
    np.testing.assert_allclose(tape.gradient(loss, images), expected, rtol=1e-4, atol=1e-5)


def test_average_pool_is_the_mean_of_squares():
    expected = IMAGES.reshape(2, 2, 2, 3, 2, 16).mean(axis=(2, 4))
    np.testing.assert_allclose(average_pool(IMAGES), expected, rtol=1e-5, atol=1e-6)
