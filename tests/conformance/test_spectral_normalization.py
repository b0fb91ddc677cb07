"""The wrapper around layers of Keras: its axes, its gradient, and what it leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.layers import SpectralNormalization

L = keras.layers
draw = np.random.default_rng(0)
IMAGES = draw.normal(size=(2, 6, 6, 4)).astype("float32")
ROWS = draw.normal(size=(2, 6, 4)).astype("float32")

# How each layer is made, its input, and the axes of its kernel that its outputs have.
CASES = {
    "dense": (lambda **kw: L.Dense(5, **kw), ROWS, [1]),
    "conv1d": (lambda **kw: L.Conv1D(5, 3, dilation_rate=2, **kw), ROWS, [2]),
    "conv2d": (lambda **kw: L.Conv2D(5, 3, strides=2, padding="same", **kw), IMAGES, [3]),
    "groups": (lambda **kw: L.Conv2D(6, 3, groups=2, **kw), IMAGES, [3]),
    "transpose": (lambda **kw: L.Conv2DTranspose(5, 3, strides=2, **kw), IMAGES, [2]),
    "transpose1d": (lambda **kw: L.Conv1DTranspose(5, 3, **kw), ROWS, [1]),
    "depthwise": (lambda **kw: L.DepthwiseConv2D(3, depth_multiplier=2, **kw), IMAGES, [2, 3]),
    "embedding": (lambda **kw: L.Embedding(7, 5, **kw), np.array([[1, 6], [0, 1]]), [1]),
    "einsum": (lambda **kw: L.EinsumDense("abc,cde->abde", (6, 2, 3), **kw), ROWS, [1, 2]),
    "einsum_first": (lambda **kw: L.EinsumDense("abc,dc->abd", (6, 5), **kw), ROWS, [0]),
    "einsum_groups": (lambda **kw: L.EinsumDense("abc,bcd->abd", (6, 5), **kw), ROWS, [0, 2]),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def wrap(case, policy="float32", **settings):
    make, inputs, _ = case
    keras.utils.set_random_seed(1)
    layer = SpectralNormalization(make(dtype=policy), **settings)
    layer(inputs)
    kernel = layer.kernel
    kernel.assign(np.random.default_rng(2).normal(size=kernel.shape))
    return layer


def unit(vector):
    return vector / np.linalg.norm(vector)


def reference(layer, columns):
    """Kernel as a matrix, its v and next u after one power iteration, and their outer product."""
    kernel = layer.kernel.numpy().astype("float64")
    rows = [axis for axis in range(kernel.ndim) if axis not in columns]
    order = rows + columns
    arranged = kernel.transpose(order)
    matrix = arranged.reshape(-1, np.prod([kernel.shape[axis] for axis in columns]))
    v = unit(layer.vector_u.numpy().astype("float64") @ matrix.T)
    u = unit(v @ matrix)
    outer = (v.T @ u).reshape(arranged.shape).transpose(np.argsort(order))
    return kernel, (v @ matrix @ u.T).item(), u, outer


def test_outputs_and_vector_are_those_of_numpy(case):
    make, inputs, columns = case
    layer = wrap(case)
    kernel, sigma, u, _ = reference(layer, columns)
    outputs = layer(inputs, training=True)
    np.testing.assert_allclose(layer.vector_u, u, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(layer.kernel, kernel.astype("float32"))
    plain = make()
    plain.build(inputs.shape)
    rest = [variable.numpy() for variable in layer.layer.variables[1:]]
    plain.set_weights([kernel / sigma, *rest])
    np.testing.assert_allclose(outputs, plain(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.slow_except("conv2d")
def test_it_converges_to_the_largest_singular_value(case):
    _, inputs, columns = case
    layer = wrap(case, power_iterations=100)
    layer(inputs, training=True)
    kernel, _, _, _ = reference(layer, columns)
    size = np.prod([kernel.shape[axis] for axis in columns])
    matrix = np.moveaxis(kernel, columns, range(-len(columns), 0)).reshape(-1, size)
    used = kernel / layer.normalized_kernel().numpy()
    np.testing.assert_allclose(used, np.linalg.norm(matrix, 2), rtol=1e-4)


def test_gradient_passes_through_sigma(case):
    """With W_bar = W / sigma it is (g - sum(g W_bar) u v^T) / sigma, of the gradient g of W_bar."""
    make, inputs, columns = case
    layer = wrap(case)
    kernel, sigma, _, outer = reference(layer, columns)
    plain = make()
    plain.build(inputs.shape)
    rest = [variable.numpy() for variable in layer.layer.variables[1:]]
    plain.set_weights([kernel / sigma, *rest])
    gradients = []
    for each in (layer, plain):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(each(inputs)))
        variable = each.kernel if each is layer else each.variables[0]
        gradients.append(tf.convert_to_tensor(tape.gradient(loss, variable.value)).numpy())
    found, g = gradients
    expected = (g - np.sum(g * kernel / sigma) * outer) / sigma
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow_except("conv2d-mixed_bfloat16", "dense-float64")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float64"])
def test_sigma_is_exact_under_every_policy(case, policy):
    _, inputs, columns = case
    layer = wrap(case, policy)
    _, sigma, u, _ = reference(layer, columns)
    used = layer.normalized_kernel()
    assert used.dtype == (tf.float64 if policy == "float64" else tf.float32)
    kernel = layer.kernel.numpy().astype("float64")
    np.testing.assert_allclose(used, kernel / sigma, rtol=1e-5)
    outputs = layer(inputs, training=True)
    assert outputs.dtype == layer.layer.compute_dtype
    np.testing.assert_allclose(layer.vector_u, u, rtol=0, atol=1e-5)


@keras.saving.register_keras_serializable("tests")
class Counting(L.Dense):
    """A dense layer that counts its calls, has a loss, and knows whether it trains."""

    def build(self, input_shape):
        super().build(input_shape)
        self.calls = self.add_weight(shape=(), trainable=False, initializer="zeros")

    def call(self, inputs, training=None):
        self.calls.assign_add(1)
        self.add_loss(tf.reduce_sum(inputs) * 0 + 3)
        return super().call(inputs) * (2 if training else 1)


def test_the_layer_keeps_its_own_state_losses_and_training():
    layer = SpectralNormalization(Counting(3, kernel_regularizer="l2"))
    evaluated = layer(ROWS)
    np.testing.assert_allclose(layer(ROWS, training=True), 2 * evaluated, rtol=1e-6)
    assert float(layer.layer.calls.value) == 2
    stored = float(tf.reduce_sum(layer.kernel**2) * 0.01)
    np.testing.assert_allclose(sorted(map(float, layer.losses)), sorted([3, stored]), rtol=1e-5)


def test_a_scope_around_it_is_heard():
    """Stateless calls, by which Keras traces, give values for all variables and take updates."""
    layer = wrap(CASES["dense"])
    trained = [2 * variable.value for variable in layer.trainable_variables]
    vectors = [variable.value + 0 for variable in layer.non_trainable_variables]
    before = layer.get_weights()
    outputs, after = layer.stateless_call(trained, vectors, ROWS, training=True)
    np.testing.assert_equal(layer.get_weights(), before)
    bias = layer.layer.bias.numpy()
    np.testing.assert_allclose(outputs - bias, layer(ROWS) - bias, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(after[0], vectors[0])


def test_copies_and_files_keep_everything(case, tmp_path):
    _, inputs, _ = case
    layer = wrap(case, power_iterations=3)
    model = keras.Sequential([keras.Input(inputs.shape[1:], dtype=str(inputs.dtype)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for copy in (loaded, clone):
        assert copy.layers[0].power_iterations == 3
        np.testing.assert_array_equal(copy(inputs), model(inputs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpectralNormalization(L.Dense(2), 0), r"Received: power_iterations=0"),
        (lambda: SpectralNormalization(L.ReLU())(ROWS), r"Received: layer=re_lu.*kernel=None"),
        (lambda: SpectralNormalization(L.SeparableConv2D(2, 1))(IMAGES), r"kernel=None"),
        (
            lambda: SpectralNormalization(L.Dense(2), dtype="mixed_bfloat16"),
            r"dtype=mixed_bfloat16, layer of float32",
        ),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
