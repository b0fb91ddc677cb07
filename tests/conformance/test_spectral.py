"""Spectral normalization: its arithmetic against NumPy, and what a call may change."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.layers import SpectralConv2D, SpectralDense, SpectralEmbedding
from keras_sagan.layers.power_iteration import spectral_norm

IMAGES = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype("float32")
VECTORS = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")
LABELS = np.array([0, 3, 3, 6], "int32")

# Each layer with an input, and its kernel as the matrix whose last axis is that of u.
CASES = {
    "conv": (lambda **kw: SpectralConv2D(4, **kw), IMAGES, lambda kernel: kernel.reshape(-1, 4)),
    "dense": (lambda **kw: SpectralDense(3, **kw), VECTORS, lambda kernel: kernel),
    "embedding": (lambda **kw: SpectralEmbedding(7, 5, **kw), LABELS, lambda kernel: kernel.T),
}


@pytest.fixture(params=CASES)
def case(request):
    """A built layer of distinct weights, its input, and its kernel as a matrix."""
    make, inputs, matrix = CASES[request.param]
    keras.utils.set_random_seed(0)
    layer = make()
    layer(inputs)
    for variable in layer.trainable_variables:
        variable.assign_add(0.1 * np.random.default_rng(2).normal(size=variable.shape))
    return layer, inputs, matrix


def unit(vector):
    return vector / np.linalg.norm(vector)


def reference_sigma(matrix, u):
    """One power iteration in float64: sigma, v and the next u."""
    v = unit(u @ matrix.T)
    u = unit(v @ matrix)
    return float((v @ matrix @ u.T).item()), v, u


def reference_outputs(layer, inputs, kernel):
    if isinstance(layer, SpectralConv2D):
        size, _ = layer.kernel_size
        padded = np.pad(inputs, [(0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
        outputs = np.einsum("bhwcij,ijco->bhwo", windows, kernel)
        return outputs + layer.bias.numpy() if layer.use_bias else outputs
    if isinstance(layer, SpectralDense):
        return inputs @ kernel + layer.bias.numpy()
    return kernel[inputs]


def test_power_iteration_converges_to_the_largest_singular_value():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 8)).astype("float32")
    expected = np.linalg.svd(kernel.reshape(-1, 8), compute_uv=False)[0]
    u = tf.ones([1, 8])
    for _ in range(100):
        sigma, u = spectral_norm(tf.constant(kernel), u)
    np.testing.assert_allclose(sigma, expected, rtol=1e-4)


def test_outputs_and_advanced_u_are_those_of_numpy(case):
    layer, inputs, matrix = case
    kernel = layer.kernel.numpy().astype("float64")
    sigma, _, u = reference_sigma(matrix(kernel), layer.vector_u.numpy().astype("float64"))
    outputs = layer(inputs, advance_u=True)
    expected = reference_outputs(layer, inputs, kernel / sigma)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.vector_u, u, rtol=0, atol=1e-5)


def test_calls_that_do_not_ask_leave_every_variable_bit_equal(case):
    layer, inputs, _ = case
    before = [variable.numpy() for variable in layer.variables]
    first = layer(inputs)
    second = layer(inputs)
    np.testing.assert_array_equal(first, second)
    for variable, value in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_asking_advances_u_and_nothing_else(case):
    layer, inputs, _ = case
    before = {id(variable): variable.numpy() for variable in layer.variables}
    layer(inputs, advance_u=True)
    changed = [v for v in layer.variables if not np.array_equal(v.numpy(), before[id(v)])]
    assert [id(v) for v in changed] in ([id(layer.vector_u)], [])
    if layer.vector_u.shape[1] > 1:
        assert changed


def test_gradient_is_that_of_the_quotient_with_u_and_v_constant(case):
    layer, inputs, matrix = case
    weights = np.random.default_rng(3).normal(size=layer(inputs).shape).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs) * weights)
    gradient = tape.gradient(loss, layer.kernel)
    kernel = layer.kernel.numpy()
    _, v, u = reference_sigma(matrix(kernel.astype("float64")), layer.vector_u.numpy())
    # The same outer product, in the kernel's own axes: sigma is a linear function of the kernel.
    outer = (v.T @ u).astype("float32")
    direction = outer.T if isinstance(layer, SpectralEmbedding) else outer.reshape(kernel.shape)
    free = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch(free)
        quotient = free / tf.reduce_sum(free * direction)
        if isinstance(layer, SpectralConv2D):
            outputs = tf.nn.conv2d(inputs, quotient, 1, "SAME")
        elif isinstance(layer, SpectralDense):
            outputs = tf.matmul(inputs, quotient)
        else:
            outputs = tf.gather(quotient, inputs)
        loss = tf.reduce_sum(outputs * weights)
    expected = tf.convert_to_tensor(tape.gradient(loss, free))
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4)


def test_without_normalization_it_is_the_plain_layer(case):
    normalized, inputs, _ = case
    plain = type(normalized).from_config(normalized.get_config() | {"normalize": False})
    plain(inputs)
    plain.set_weights([v.numpy() for v in normalized.trainable_variables])
    assert not plain.non_trainable_variables
    expected = reference_outputs(plain, inputs, plain.kernel.numpy())
    np.testing.assert_allclose(plain(inputs), expected, rtol=1e-4, atol=1e-5)


def test_initializer_is_glorot_uniform_unless_another_is_given():
    make, inputs, _ = CASES["dense"]
    layer = make()
    layer(inputs)
    limit = np.sqrt(6 / (5 + 3))
    assert 0.5 * limit < np.abs(layer.kernel.numpy()).max() <= limit
    ones = make(kernel_initializer="ones")
    ones(inputs)
    np.testing.assert_array_equal(ones.kernel, np.ones((5, 3)))


def test_convolution_arguments():
    layer = SpectralConv2D(2, kernel_size=1, use_bias=False)
    outputs = layer(IMAGES)
    assert layer.kernel.shape == (1, 1, 3, 2)
    assert outputs.shape == (2, 4, 6, 2)
    assert len(layer.trainable_variables) == 1


def test_labels_outside_the_classes_raise_in_eager_code_and_are_zeros_in_graphs():
    layer = SpectralEmbedding(3, 4)
    labels = np.array([3, 0, -1])
    with pytest.raises(ValueError, match=r"in \[0, 3\)\. Received: labels=\[3, -1\]"):
        layer(labels)
    np.testing.assert_array_equal(tf.function(layer)(labels)[::2], np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([[0], [1]]), r"integers \[batch\].*Received: shape=\(2, 1\), dtype=int64"),
        (np.array([0.0, 1.0]), r"Received: shape=\(2,\), dtype=float32"),
    ],
)
def test_labels_of_another_kind_raise(labels, message):
    with pytest.raises(ValueError, match=message):
        SpectralEmbedding(3, 4)(labels)


def test_kernels_of_two_sizes_convolve_as_tensorflow_does():
    layer = SpectralConv2D(4, kernel_size=(1, 3), use_bias=False, normalize=False)
    outputs = layer(IMAGES)
    expected = tf.nn.conv2d(IMAGES, layer.kernel, 1, "SAME")
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [lambda: SpectralConv2D(4), lambda: SpectralDense(3)])
def test_kernels_of_zeros_stay_zeros_and_do_not_lose_their_vector(make):
    layer = make()
    inputs = IMAGES if isinstance(layer, SpectralConv2D) else VECTORS
    layer(inputs)
    layer.kernel.assign(tf.zeros_like(layer.kernel))
    before = layer.vector_u.numpy()
    outputs = layer(inputs, training=True)
    np.testing.assert_array_equal(outputs, np.zeros_like(outputs))
    np.testing.assert_array_equal(layer.vector_u, before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpectralConv2D(4, kernel_size=2), r"odd, an int or two\. Received: kernel_size=2"),
        (lambda: SpectralConv2D(4, (3, 4)), r"Received: kernel_size=\(3, 4\)"),
        (lambda: SpectralConv2D(4, (3, 3, 3)), r"Received: kernel_size=\(3, 3, 3\)"),
        (lambda: SpectralConv2D(0), r"at least 1\. Received: filters=0"),
        (lambda: SpectralDense(0), r"at least 1\. Received: units=0"),
        (lambda: SpectralEmbedding(0, 4), r"Received: num_classes=0, dim=4"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
