"""`Augment` in graphs and models: sizes, dtypes, own draws, replicas, files, `fit`, errors."""

import doctest

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_changes import EVERY, make_draws, make_images, with_gradient

import keras_sagan as ks
from keras_sagan.layers import Augment


def test_graph_looks_nothing_up():
    """Gathers have scatters as gradients, whose sums have no fixed order on GPUs."""
    layer = Augment(EVERY)
    images = tf.TensorSpec((None, 8, 8, 3), tf.float32)
    draws = tf.TensorSpec((None, layer.uniforms), tf.float32), images
    function = tf.function(lambda images, draws: with_gradient(layer, images, draws, 0.5, images))
    graph = function.get_concrete_function(images, draws).graph
    large = [
        operation.type
        for operation in graph.get_operations()
        if any(output.shape.rank is None or output.shape.rank > 1 for output in operation.outputs)
    ]
    assert "SelectV2" in large
    assert not [kind for kind in large if "Gather" in kind or "Scatter" in kind]


@pytest.mark.parametrize("shape", [(None, 8, 10, 3), (None, None, None, 3)])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_sizes_that_the_graph_does_not_know(shape, jit_compile):
    layer, images = Augment(EVERY), make_images(5, 8, 10)
    draws = make_draws(layer, images.shape)
    specs = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec((None, layer.uniforms), tf.float32)]
    specs.append(specs[0])

    @tf.function(input_signature=specs, jit_compile=jit_compile)
    def call(images, uniform, normal):
        drawn = tf.shape(layer(images))
        return with_gradient(layer, images, (uniform, normal), 0.5, images), drawn

    results, drawn = call(images, *draws)
    for value, eager in zip(results, with_gradient(layer, images, draws, 0.5, images), strict=True):
        np.testing.assert_allclose(value, eager, rtol=1e-5, atol=1e-6)
    assert tuple(drawn) == images.shape


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float32"])
def test_images_keep_their_dtype_and_are_computed_in_float32(policy):
    layer, images = Augment(EVERY, dtype=policy), make_images(4, 8, 8)
    draws = make_draws(layer, images.shape)
    exact = Augment(EVERY)
    np.testing.assert_array_equal(layer(images, draws=draws), exact(images, draws=draws))
    low = tf.cast(images, tf.bfloat16)
    outputs, gradient = with_gradient(layer, low, draws, 1.0, images)
    assert outputs.dtype == gradient.dtype == tf.bfloat16
    rounded = tf.cast(exact(tf.cast(low, tf.float32), draws=draws), tf.bfloat16)
    np.testing.assert_array_equal(tf.cast(outputs, tf.float32), tf.cast(rounded, tf.float32))
    assert layer(keras.Input((8, 8, 3), dtype="float32")).dtype == "float32"


def test_own_draws_follow_the_seed_and_differ_between_calls():
    images = make_images(8, 8, 8)
    first, second = Augment(EVERY, seed=5), Augment(EVERY, seed=5)
    outputs = [layer(images).numpy() for layer in (first, second, first)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])
    before = first.seed_generator.state.numpy()
    np.testing.assert_array_equal(first(images, training=False), images)
    np.testing.assert_array_equal(first.seed_generator.state, before)


def test_two_replicas_draw(two_replicas):
    with two_replicas.scope():
        layer = Augment(EVERY, seed=0)
    images = tf.constant(make_images(4, 8, 8))
    call = tf.function(lambda: two_replicas.run(layer, args=(images,)))
    first, second = call().values
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, call().values[0])


def test_keras_file_holds_the_layer(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), Augment("cutout,color", p=0.5, seed=2)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    layer = loaded.layers[0]
    assert (layer.policies, layer.p, layer.seed) == (("color", "cutout"), 0.5, 2)
    images = make_images(8, 8, 8)
    np.testing.assert_array_equal(
        loaded(images, training=True).numpy(), model(images, training=True).numpy()
    )


@pytest.mark.slow_except("True")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_stock_fit_trains_behind_it(jit_compile):
    """Images of one value, with their center cut out or not: the mean tells what was seen."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)])
    model = keras.Sequential([ks.layers.Augment("cutout", seed=0), inner])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
    images, targets = np.ones((64, 8, 8, 1), "float32"), np.ones((64, 1), "float32")
    history = model.fit(images, targets, batch_size=16, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0] / 10
    first, second = (model.predict(images, verbose=0) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, inner.predict(images, verbose=0))
    seen = np.mean(model.layers[0](images), axis=(1, 2, 3))
    assert 0.7 < seen.mean() < 0.9


def test_layer_says_what_it_needs():
    for policies, uniforms, noise in [
        ("color", 6, False),
        ("translation", 3, False),
        ("cutout", 3, False),
        ("diffusion", 2, True),
        (["diffusion", "color"], 8, True),
        ("color,translation,cutout", 12, False),
    ]:
        layer = Augment(policies)
        assert (layer.uniforms, layer.needs_noise) == (uniforms, noise)
    assert Augment("diffusion, cutout,color").policies == ("color", "cutout", "diffusion")
    assert Augment("color").compute_output_shape((None, 8, 8, 3)) == (None, 8, 8, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policies": "flip"}, "`policies` must be some of color, translation, cutout, diffusion"),
        ({"policies": "color,color"}, "each at most once. Received: policies='color,color'"),
        ({"policies": ""}, "Received: policies=''"),
        ({"policies": ()}, r"Received: policies=\(\)"),
        ({"p": 1.5}, r"`p` must be in \[0, 1\]. Received: p=1.5"),
        ({"p": float("nan")}, "Received: p=nan"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Augment(**arguments)


@pytest.mark.parametrize(
    ("policies", "shapes"),
    [
        ("cutout", [(2, 4)]),
        ("cutout", [(2, 3), (2, 8, 8, 3)]),
        ("diffusion", [(2, 2)]),
    ],
)
def test_wrong_draws_are_named(policies, shapes):
    draws = tuple(np.zeros(shape, "float32") for shape in shapes)
    with pytest.raises(ValueError, match=r"`draws` must be \(uniform numbers \[batch, \d"):
        Augment(policies)(make_images(2, 8, 8), draws=draws)


def test_inputs_that_are_no_images_are_refused():
    with pytest.raises(ValueError, match="Augment needs inputs"):
        Augment()(np.zeros((2, 8), "float32"))


def test_example_runs():
    examples = doctest.DocTestFinder(recurse=False).find(Augment, globs={"ks": ks, "np": np})
    runner = doctest.DocTestRunner()
    for example in examples:
        runner.run(example)
    assert runner.summarize(verbose=False) == (0, 2)
