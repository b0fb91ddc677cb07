"""Random changes of images: values, gradients, probabilities, and how the layer is used."""

import doctest

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sagan as ks
from keras_sagan.layers import Augment
from keras_sagan.layers.diffusion import diffuse, draw_t, sum_log_alphas

EVERY = "color,translation,cutout,diffusion"
# Even, odd and oblong.
SIZES = [(8, 8), (17, 10)]


def make_draws(layer, shape, seed=1):
    rng = np.random.default_rng(seed)
    uniform = rng.uniform(size=(shape[0], layer.uniforms)).astype("float32")
    normal = rng.normal(size=shape).astype("float32")
    return (uniform, normal) if layer.needs_noise else (uniform,)


def make_images(batch, height, width, channels=3, dtype="float32"):
    rng = np.random.default_rng(batch + height)
    return rng.uniform(-1, 1, (batch, height, width, channels)).astype(dtype)


def moved(image, row, column):
    """`image`, shifted by pasting it onto zeros."""
    height, width, _ = image.shape
    most = height // 8, width // 8
    down, right = (int(u * (2 * m + 1)) - m for u, m in zip((row, column), most, strict=True))
    canvas = np.zeros((3 * height, 3 * width, image.shape[2]))
    canvas[height - down : 2 * height - down, width - right : 2 * width - right] = image
    return canvas[height : 2 * height, width : 2 * width]


def cut(image, row, column):
    """`image` without the pixels of a square, one by one."""
    image = image.copy()
    starts = []
    for u, size in zip((row, column), image.shape[:2], strict=True):
        starts.append(int(u * (size + 1 - size // 2 % 2)) - size // 2 // 2)
    for i in range(image.shape[0] // 2):
        for j in range(image.shape[1] // 2):
            y, x = starts[0] + i, starts[1] + j
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                image[y, x] = 0
    return image


def saturated(image, u):
    gray = image.mean(axis=2, keepdims=True)
    return gray + 2 * u * (image - gray)


def noisy(image, gate, u, normal, p):
    """`image` after t of T steps, with the tables of the released code."""
    steps = 10 + round(p * 990)
    product = np.concatenate([[1], np.cumprod(1 - np.linspace(1e-4, 2e-2, steps))])
    shares = np.arange(steps) / np.arange(steps).sum()
    t = 1 + np.searchsorted(np.cumsum(shares), u, side="right") if gate < 0.5 else 0
    return np.sqrt(product[t]) * image + np.sqrt(1 - product[t]) * 0.05 * normal


CHANGES = {
    "color": [
        (1, lambda image, u: image + u - 0.5),
        (1, saturated),
        (1, lambda image, u: image.mean() + (u + 0.5) * (image - image.mean())),
    ],
    "translation": [(2, moved)],
    "cutout": [(2, cut)],
}


def expected(images, draws, policies, p):
    """The layer in NumPy, in float64, image by image."""
    changed = []
    for i, image in enumerate(images.astype("float64")):
        numbers = iter(draws[0][i].astype("float64"))
        for policy in policies.split(","):
            for count, change in CHANGES.get(policy, ()):
                gate, *given = [next(numbers) for _ in range(1 + count)]
                image = change(image, *given) if gate < p else image
        if "diffusion" in policies:
            image = noisy(image, *numbers, draws[1][i], p)
        changed.append(image)
    return np.stack(changed)


def with_gradient(layer, images, draws, p, upstream):
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, draws=draws, p=p)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * tf.stop_gradient(upstream))
    return outputs, tape.gradient(loss, images)


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


@pytest.mark.parametrize("steps", [10, 257, 1000])
def test_later_t_are_more_probable(steps):
    """Of equally spaced numbers, each t gets the share that the released code gives it."""
    numbers = ((np.arange(4500) + 0.5) / 4500).astype("float32")
    drawn = draw_t(tf.constant(numbers)[:, None, None, None], tf.constant(steps, tf.float32))
    shares = np.bincount(np.ravel(drawn).astype(int), minlength=steps + 1) / len(numbers)
    expected = np.concatenate([[0], np.arange(steps) / np.arange(steps).sum()])
    np.testing.assert_allclose(np.cumsum(shares), np.cumsum(expected), atol=1.01 / len(numbers))
    if steps == 10:
        np.testing.assert_allclose(shares, expected, rtol=1e-12)


@pytest.mark.parametrize("number", [0.0, 1.0 - 2.0**-24, 1.0])
def test_extreme_numbers_stay_within_bounds(number):
    """A float64 number below 1 may be 1 in float32."""
    t = draw_t(tf.fill([1, 1, 1, 1], tf.constant(number)), tf.constant(1000.0))
    assert float(np.squeeze(t)) == (2 if number == 0 else 1000)
    layer, images = Augment("translation,cutout"), make_images(1, 16, 16)
    outputs = layer(images, draws=(np.full([1, 6], number, "float32"),), p=2.0).numpy()
    edge = 0 if number == 0 else 1 - 1e-9
    np.testing.assert_array_equal(outputs[0], cut(moved(images[0], edge, edge), edge, edge))


@pytest.mark.parametrize("p", [0.0, 0.25, 0.6, 1.0])
def test_products_of_alphas_are_exact_to_1e_5(p):
    steps = 10 + round(990 * p)
    t = np.arange(steps + 1, dtype="float32")[:, None, None, None]
    found = np.exp(sum_log_alphas(tf.constant(t), tf.constant(float(steps))).numpy().ravel())
    products = np.concatenate([[1], np.cumprod(1 - np.linspace(1e-4, 2e-2, steps))])
    np.testing.assert_allclose(found, products, rtol=1e-5)
    assert found[0] == 1
    assert p < 1 or products[-1] < 5e-5


def test_half_of_the_images_get_no_noise():
    layer, images = Augment("diffusion", seed=3), make_images(4000, 2, 2)
    for p in (0.0, 1.0):
        same = np.all(layer(images, p=p).numpy() == images, axis=(1, 2, 3))
        assert abs(same.mean() - 0.5) < 4 * np.sqrt(0.25 / 4000)


def test_noise_of_the_last_step_is_all_that_is_left():
    ones = tf.ones([1, 4, 4, 1])
    gate, number = (tf.fill([1, 1, 1, 1], value) for value in (0.0, 0.99999))
    outputs = diffuse(ones, gate, number, 3 * ones, tf.constant(1.0))
    np.testing.assert_allclose(outputs, np.sqrt(4e-5) + 3 * 0.05, atol=1e-3)


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
