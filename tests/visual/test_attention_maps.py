"""Attention maps against NumPy, from the weights of the layers alone; maps are not square."""

import keras
import numpy as np
import pytest

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.layers import SelfAttention
from keras_sagan.layers.resample import upsample
from keras_sagan.networks.network import Network
from keras_sagan.visual import attention_maps, plot_attention
from keras_sagan.visual import maps as attention
from keras_sagan.visual.attention_figure import spread_positions

HEIGHT, WIDTH, CHANNELS = 4, 6, 8
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(attention.BATCH + 3, HEIGHT, WIDTH, CHANNELS)).astype("float32")


@pytest.fixture(scope="module")
def network():
    """Attention at 4 x 6, then at 8 x 12, with weights that make maps uneven."""
    doubled = keras.layers.Lambda(upsample, name="doubled")
    stack = [SelfAttention(name="small"), doubled, SelfAttention(name="large")]
    network = Network(stack, (HEIGHT, WIDTH, CHANNELS))
    for variable in network.trainable_variables:
        variable.assign(RNG.normal(size=variable.shape) * 3)
    return network


@pytest.fixture(scope="module")
def maps(network):
    return attention_maps(network, INPUTS)


def convolved(layer, images):
    """A spectrally normalized 1x1 convolution, from its kernel and singular vector."""
    kernel, u = layer.kernel.numpy()[0, 0], layer.vector_u.numpy()
    v = u @ kernel.T
    v /= np.linalg.norm(v)
    sigma = np.linalg.norm(v @ kernel)
    return images @ (kernel / sigma)


def by_hand(layer, image, y, x):
    """The map `[h, w]` of one position of one image `[H, W, C]`, place by place."""
    query, key = convolved(layer.query, image)[y, x], convolved(layer.key, image)
    scores = np.empty((image.shape[0] // 2, image.shape[1] // 2))
    for row, column in np.ndindex(scores.shape):
        square = key[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        scores[row, column] = query @ square.max(axis=(0, 1))
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def test_every_layer_has_its_map_of_every_position(maps):
    count = len(INPUTS)
    assert {name: each.shape for name, each in maps.items()} == {
        "small": (count, 4, 6, 2, 3),
        "large": (count, 8, 12, 4, 6),
    }
    for each in maps.values():
        assert each.dtype == np.float32
        np.testing.assert_allclose(each.sum(axis=(-2, -1)), 1, rtol=1e-5)
        assert each.max() > 4 / each[0, 0, 0].size  # Uneven, or else no order could be wrong.


@pytest.mark.parametrize("i", [0, len(INPUTS) - 1])
def test_maps_equal_those_by_hand(network, maps, i):
    given, _ = network.layer_inputs(INPUTS)
    for name, each in maps.items():
        image = np.asarray(given[name])[i]
        for y, x in np.ndindex(each.shape[1:3]):
            expected = by_hand(getattr(network, name), image, y, x)
            np.testing.assert_allclose(each[i, y, x], expected, atol=1e-5)


def test_layers_are_given_what_a_call_gives_them(network):
    given, outputs = network.layer_inputs(INPUTS)
    np.testing.assert_array_equal(given["small"], INPUTS)
    np.testing.assert_array_equal(given["doubled"], network.small(INPUTS))
    np.testing.assert_array_equal(outputs, network(INPUTS))


class Twice(keras.Model):
    """A user's own model, with an attention layer inside another model."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def call(self, inputs):
        return self.network(inputs) * 2


@pytest.mark.parametrize("kind", ["sequential", "functional", "nested", "subclass"])
def test_models_of_users_have_the_same_maps(network, maps, kind):
    symbol = keras.Input((None, None, CHANNELS))
    outputs = network.large(keras.layers.UpSampling2D()(network.small(symbol)))
    model = {
        "sequential": lambda: keras.Sequential([symbol, network.small, keras.layers.ReLU()]),
        "functional": lambda: keras.Model(symbol, outputs),
        "nested": lambda: keras.Sequential([keras.Model(symbol, outputs), keras.layers.ReLU()]),
        "subclass": lambda: Twice(network),
    }[kind]()
    found = attention_maps(model, INPUTS)
    assert list(found) == (["small"] if kind == "sequential" else ["small", "large"])
    for name, each in found.items():
        np.testing.assert_array_equal(each, maps[name])
    assert "call" not in vars(network.small)


def test_networks_of_a_run_take_latents_and_images():
    config = Config(
        image_size=16, image_channels=1, num_classes=3, z_dim=4, g_channels=8, d_channels=8,
        g_attention="8,16", d_attention="8",
    )  # fmt: skip
    generator, discriminator = networks.generator(config), networks.discriminator(config)
    latents, labels = RNG.normal(size=(2, 4)).astype("float32"), [0, 2]
    maps = attention_maps(generator, latents, labels)
    assert {name: each.shape[1:] for name, each in maps.items()} == {
        "attention_8": (8, 8, 4, 4),
        "attention_16": (16, 16, 8, 8),
    }
    images = generator(latents, np.array(labels), training=False)
    assert list(attention_maps(discriminator, images, labels)) == ["attention_8"]


def test_a_network_without_attention_has_no_maps():
    config = Config(
        image_size=16, num_classes=0, z_dim=4, g_channels=2, d_channels=2,
        attention_block="residual",
    )  # fmt: skip
    assert attention_maps(networks.generator(config), np.zeros((1, 4), "float32")) == {}


def test_places_stand_out_by_half_the_peak_twice_an_even_share_and_distance():
    flat = np.full((3, 5), 1 / 15)
    assert attention.most_attended(flat) == []
    shares = np.zeros((3, 5))
    shares[0, 0], shares[1, 1], shares[2, 4], shares[0, 3], shares[2, 2] = 0.3, 0.2, 0.2, 0.16, 0.14
    # (1, 1) touches (0, 0) at a corner, and (2, 2) has less than half of the peak.
    assert attention.most_attended(shares) == [(0, 0), (2, 4), (0, 3)]
    assert attention.most_attended(shares, count=1) == [(0, 0)]


def test_a_figure_has_the_image_the_points_and_a_map_for_each(maps):
    images = RNG.uniform(-1, 1, (2, 8, 12, 1))
    figure = plot_attention(images, maps["small"][:2], captions=["first", "second"])
    assert len(figure.axes) == 2 * 6
    image, *drawn = figure.axes[:6]
    assert image.get_ylabel() == "first"
    points = [tuple(line.get_xydata()[0]) for line in image.lines]
    queries = spread_positions(4, 6)
    assert points == [((x + 0.5) / 6, (y + 0.5) / 4) for y, x in queries]
    for axis, (y, x) in zip(drawn, queries, strict=True):
        found = maps["small"][0, y, x]
        expected = found / max(found.max(), 4 / 6)
        np.testing.assert_allclose(axis.images[1].get_array(), expected, rtol=1e-5)
        assert axis.get_title().startswith(f"{found.max():.1%}")
        tips = [text.xy for text in axis.texts]
        places = attention.most_attended(found)
        assert tips == [((column + 0.5) / 3, (row + 0.5) / 2) for row, column in places]
    figure.draw_without_rendering()


def test_figures_refuse_what_does_not_fit(maps):
    images = np.zeros((2, 8, 12, 3), np.uint8)
    with pytest.raises(ValueError, match=r"a map for each image\. Received: 2, 3"):
        plot_attention(images, maps["small"][:3])
    with pytest.raises(ValueError, match=r"positions in 4 x 6\. Received: \[\(4, 0\)\]"):
        plot_attention(images, maps["small"][:2], queries=[(4, 0)])
