"""Sizes, costs and switches of the two networks."""

import dataclasses
import hashlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.layers import ResidualControl, SelfAttention
from keras_sagan.networks.macs import forward_macs
from keras_sagan.networks.network import Network

FULL = Config(image_size=128, num_classes=1000, g_attention="none", d_attention="none")
CIFAR = dataclasses.replace(FULL, image_size=32, num_classes=10, g_channels=256, d_channels=128)
SMALL = Config(image_size=16, z_dim=8, num_classes=3, g_channels=8, d_channels=8)
DCGAN = Config(
    model="dcgan",
    image_size=32,
    num_classes=0,
    g_attention="none",
    d_attention="none",
    g_spectral_norm=False,
    d_spectral_norm=False,
)

SMALL_DCGAN = dataclasses.replace(
    DCGAN, image_size=16, z_dim=8, num_classes=3, g_channels=8, d_channels=8
)


def at(config, resolution):
    return dataclasses.replace(config, g_attention=resolution, d_attention=resolution)


def sized(config, **changes):
    return dataclasses.replace(config, **changes)


def both(config):
    return networks.generator(config), networks.discriminator(config)


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


# Released code and StudioGAN's logs for 128 pixels, SN-GAN's networks at 32, the DCGAN definition
# of arXiv:1511.06434 with z of 128 for the rest.
@pytest.mark.slow_except("config1-expected1", "config9-expected9")
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (at(FULL, "8"), (43_307_652, 39_770_818)),
        (at(FULL, "16"), (42_324_612, 39_525_058)),
        (at(sized(FULL, attention_block="residual"), "32"), (42_078_852, 39_463_618)),
        (at(sized(FULL, num_classes=1), "32"), (32_232_708, 38_440_642)),
        (at(sized(FULL, g_channels=32, d_channels=32), "32"), (13_514_052, 10_124_642)),
        (sized(CIFAR, num_classes=0), (4_276_739, 1_053_825)),
        (CIFAR, (4_304_387, 1_055_105)),
        (at(CIFAR, "16"), (4_386_308, 1_075_586)),
        (at(CIFAR, "auto"), (4_386_308, 1_075_586)),
        (DCGAN, (1_558_275, 1_034_113)),
        (sized(DCGAN, image_size=64), (5_364_739, 4_316_545)),
        (sized(DCGAN, image_size=128), (19_531_267, 17_435_009)),
    ],
)
def test_parameter_counts(config, expected):
    assert tuple(count(network.trainable_variables) for network in both(config)) == expected


# The released code at full width: parameters of G and D, and forward multiply-accumulates in 1e9.
@pytest.mark.slow_except("32-parameters1-gmacs1")
@pytest.mark.parametrize(
    ("resolution", "parameters", "gmacs"),
    [
        ("none", (41_996_931, 39_443_137), (9.09, 4.69)),
        ("32", (42_078_852, 39_463_618), (9.22, 4.74)),
        pytest.param("64", (42_017_412, 39_448_258), (9.51, 4.88), marks=pytest.mark.slow),
    ],
)
def test_parameters_and_costs_of_the_released_networks(resolution, parameters, gmacs):
    pair = both(sized(at(FULL, resolution), fast=False))
    assert tuple(count(network.trainable_variables) for network in pair) == parameters
    costs = [forward_macs(network) / 1e9 for network in pair]
    np.testing.assert_allclose(costs, gmacs, rtol=0.01)
    if resolution == "32":  # Singular vectors and moving statistics.
        assert [count(network.non_trainable_variables) for network in pair] == [32_771, 9_225]


@pytest.mark.slow
def test_forward_macs_of_the_fast_form():
    """16 products for 36 in 3x3 convolutions that resample; attention's are the same in blocks."""
    config = sized(SMALL, image_size=128, g_attention="64", num_classes=0)
    fast, plain = (forward_macs(networks.generator(sized(config, fast=f))) for f in (True, False))
    widths = [config.g_channels * width for width in (16, 16, 8, 4, 2, 1)]
    saved = 0
    for i, (channels, filters) in enumerate(itertools.pairwise(widths)):
        pixels = 4 ** (i + 2)  # Before the block doubles the resolution.
        saved += pixels * channels * filters * (36 - 16)
        saved += pixels * channels * filters * (4 - 1)  # Of the shortcut.
    assert plain - fast == saved


def test_forward_macs_of_transposed_convolutions():
    config = sized(DCGAN, image_size=16, z_dim=8, g_channels=4, image_channels=1)
    dense, deconv_8, deconv_16 = 8 * 4 * 4 * 8, 16 * 8 * 25 * 4, 64 * 4 * 25 * 1
    assert forward_macs(networks.generator(config)) == dense + deconv_8 + deconv_16


@pytest.mark.slow_except("16-base0", "128-base0", "32-base1")
@pytest.mark.parametrize("base", [SMALL, sized(DCGAN, z_dim=8, g_channels=4, d_channels=4)])
@pytest.mark.parametrize("image_size", [16, 32, 64, 128, 256, 512])
def test_every_size_gives_images_and_logits(base, image_size):
    config = sized(base, image_size=image_size, g_channels=1, d_channels=1)
    generator, discriminator = both(config)
    labels = tf.constant([0])
    images = generator(tf.random.stateless_normal([1, 8], [0, 0]), labels)
    assert images.shape == (1, image_size, image_size, 3)
    assert images.dtype == tf.float32
    assert np.abs(images).max() <= 1
    logits = discriminator(images, labels)
    assert (logits.shape, logits.dtype) == ((1,), tf.float32)


def kinds(network, kind):
    return [layer.name for layer in network.stack if isinstance(layer, kind)]


def test_attention_stands_where_it_is_asked_for():
    config = sized(SMALL, image_size=64, g_attention="8,32", d_attention="none")
    assert kinds(networks.generator(config), SelfAttention) == ["attention_8", "attention_32"]
    assert kinds(networks.discriminator(config), SelfAttention) == []
    config = sized(SMALL, image_size=64, g_attention="none", d_attention="4,32")
    assert kinds(networks.generator(config), SelfAttention) == []
    assert kinds(networks.discriminator(config), SelfAttention) == ["attention_32", "attention_4"]


def test_residual_control_stands_in_for_attention():
    config = sized(SMALL, attention_block="residual")
    for network in both(config):
        assert kinds(network, SelfAttention) == []
        assert kinds(network, ResidualControl) == ["residual_8"]


@pytest.mark.parametrize("g_spectral_norm", [True, False])
@pytest.mark.parametrize("d_spectral_norm", [True, False])
def test_spectral_norm_is_switched_for_each_network(g_spectral_norm, d_spectral_norm):
    config = sized(SMALL, g_spectral_norm=g_spectral_norm, d_spectral_norm=d_spectral_norm)
    for network, switch in (
        (networks.generator(config), g_spectral_norm),
        (networks.discriminator(config), d_spectral_norm),
    ):
        names = {variable.name for variable in network.variables}
        assert ("vector_u" in names) == switch


@pytest.mark.parametrize("base", [SMALL, sized(DCGAN, image_size=16, num_classes=3)])
@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("image_channels", [1, 3])
def test_classes_and_channels(base, num_classes, image_channels):
    config = sized(base, num_classes=num_classes, image_channels=image_channels)
    generator, discriminator = both(config)
    for network in (generator, discriminator):  # Distinct rows for distinct classes.
        for variable in network.trainable_variables:
            variable.assign_add(0.1 * np.random.default_rng(0).normal(size=variable.shape))
    latents = tf.random.stateless_normal([2, config.z_dim], [0, 0])
    latents = tf.concat([latents[:1], latents[:1]], axis=0)
    images = generator(latents, tf.constant([0, 1]))
    assert images.shape[-1] == image_channels
    assert np.allclose(images[0], images[1], atol=1e-5) == (num_classes == 0)
    same = tf.concat([images[:1], images[:1]], axis=0)
    logits = discriminator(same, tf.constant([0, 1]))
    assert np.allclose(logits[0], logits[1], atol=1e-5) == (num_classes == 0)


def test_network_with_classes_wants_labels():
    with pytest.raises(ValueError, match="needs `labels`"):
        networks.generator(SMALL)(tf.zeros([1, 8]))


PLAIN = {
    "image_size": 16,
    "channels": 8,
    "num_classes": 3,
}
ATTENDING = PLAIN | {"attention": (8,)}


@pytest.mark.parametrize(
    ("make", "config", "make_from_config"),
    [
        (lambda: networks.sagan.generator(z_dim=8, **ATTENDING), SMALL, networks.generator),
        (lambda: networks.sagan.discriminator(**ATTENDING), SMALL, networks.discriminator),
        (lambda: networks.dcgan.generator(z_dim=8, **PLAIN), SMALL_DCGAN, networks.generator),
        (lambda: networks.dcgan.discriminator(**PLAIN), SMALL_DCGAN, networks.discriminator),
    ],
    ids=["sagan_g", "sagan_d", "dcgan_g", "dcgan_d"],
)
def test_networks_from_plain_arguments(make, config, make_from_config):
    """The same weights under the same names as from a `Config` with these values."""
    made = []
    for function in (make, lambda: make_from_config(config)):
        keras.utils.clear_session()  # Keras counts layers without a name.
        keras.utils.set_random_seed(5)
        made.append(function())
    assert made[0].get_config() == made[1].get_config()
    for ours, theirs in zip(made[0].variables, made[1].variables, strict=True):
        assert ours.path == theirs.path
        np.testing.assert_array_equal(ours, theirs)


# As version 0.1 had them: names in a checkpoint, and the sum of all absolute initial values.
@pytest.mark.parametrize(
    ("kind", "config", "names", "total"),
    [
        (networks.generator, SMALL, "3fccf2e5bdb153e0", 728.3450968),
        (networks.discriminator, SMALL, "405676c777c05ba4", 585.8448839),
        (networks.generator, SMALL_DCGAN, "ed2160e68c1bc3c4", 188.8445205),
        (networks.discriminator, SMALL_DCGAN, "ba7b8d855878de4a", 96.6345110),
    ],
    ids=["sagan_g", "sagan_d", "dcgan_g", "dcgan_d"],
)
def test_initial_weights_and_names_in_checkpoints_stay(kind, config, names, total, tmp_path):
    keras.utils.set_random_seed(5)
    network = kind(config)
    path = tf.train.Checkpoint(network=network).save(str(tmp_path / "c"))
    saved = [name for name, _ in tf.train.list_variables(path) if name.startswith("network/")]
    assert hashlib.sha256("\n".join(sorted(saved)).encode()).hexdigest()[:16] == names
    found = sum(float(np.abs(variable.numpy()).sum()) for variable in network.variables)
    np.testing.assert_allclose(found, total, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (networks.sagan.generator, {"image_size": 96}, "`image_size` must be a power of 2 from 16"),
        (networks.sagan.discriminator, {"image_size": 8}, "Received: image_size=8"),
        (networks.dcgan.generator, {"image_size": 1024}, "Received: image_size=1024"),
        (networks.dcgan.discriminator, {"image_size": 0}, "Received: image_size=0"),
        (networks.sagan.generator, {"attention": (4,)}, r"some of \[8, 16, 32, 64, 128\]"),
        (networks.sagan.generator, {"attention": (8, 12)}, r"Received: attention=\[8, 12\]"),
        (networks.sagan.discriminator, {"attention": (128,)}, r"some of \[4, 8, 16, 32, 64\]"),
        (networks.sagan.discriminator, {"image_size": 32, "attention": (4,)}, r"some of \[8, 16\]"),
        (networks.sagan.generator, {"attention_block": "none"}, "one of attention, residual"),
        (networks.sagan.generator, {"num_classes": -1}, "`num_classes` must not be negative"),
    ],
)
def test_impossible_arguments_are_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_layers_of_one_name_are_refused():
    layers = [keras.layers.ReLU(name="twin"), keras.layers.ReLU(name="twin")]
    with pytest.raises(ValueError, match="layer.name='twin'"):
        Network(layers, (4,))


def test_moving_statistics_follow_their_own_momenta():
    generator = networks.generator(sized(SMALL, bn_momentum=0.25, bn_momentum_last=0.75))
    assert generator.block_8.norm_1.momentum == 0.25
    assert generator.block_16.norm_2.momentum == 0.25
    assert generator.output_norm.momentum == 0.75


@pytest.mark.parametrize("base", [SMALL, sized(DCGAN, image_size=16, z_dim=8, num_classes=3)])
@pytest.mark.parametrize("kind", [networks.generator, networks.discriminator])
def test_keras_file_holds_a_network(base, kind, tmp_path):
    network = kind(base)
    for variable in network.variables:
        variable.assign(np.abs(np.random.default_rng(0).normal(size=variable.shape)))
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    inputs = tf.random.stateless_normal([2, *network.example_shape], [0, 0])
    labels = tf.constant([0, 2])
    np.testing.assert_array_equal(network(inputs, labels), loaded(inputs, labels))


def test_precision_is_that_of_the_configuration_and_stays_local():
    generator = networks.generator(sized(SMALL, precision="mixed_bfloat16"))
    assert generator.block_8.conv_1.compute_dtype == "bfloat16"
    assert generator.attention_8.query.compute_dtype == "bfloat16"
    assert {variable.dtype for variable in generator.variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_checkpoint_holds_every_variable(tmp_path):
    """Keras hides lists of layers from TensorFlow's checkpoints."""
    network = networks.discriminator(SMALL)
    path = tf.train.Checkpoint(network=network).save(str(tmp_path / "c"))
    saved = [name for name, _ in tf.train.list_variables(path) if name.startswith("network/")]
    assert len(saved) == len(network.variables)
