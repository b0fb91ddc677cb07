"""The SAGAN of stock parts has our architecture, and learns."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.keras_naive.model import make_gan
from keras_sagan import networks
from keras_sagan.config import Config

SMALL = Config(image_size=16, z_dim=4, num_classes=3, g_channels=2, d_channels=2, batch_size=4)


def count(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


@pytest.mark.slow_except("16-3")
@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("image_size", [16, 64])
def test_parameters_are_as_many_as_ours(image_size, num_classes):
    config = dataclasses.replace(SMALL, image_size=image_size, num_classes=num_classes)
    gan = make_gan(config)
    assert count(gan.generator) == count(networks.generator(config))
    assert count(gan.discriminator) == count(networks.discriminator(config))


def test_every_weight_learns_in_a_step():
    gan = make_gan(dataclasses.replace(SMALL, g_channels=8, d_channels=8))
    for network in (gan.generator, gan.discriminator):
        for weight in network.trainable_variables:
            if weight.shape == ():  # Attention's gamma: zero, it would hide what is behind it.
                weight.assign(1.0)
    before = [weight.numpy() for weight in gan.trainable_variables]
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    losses = gan.train_step((tf.constant(images), tf.constant([0, 1, 2, 0])))
    assert all(np.isfinite(loss) for loss in losses.values())
    for weight, old in zip(gan.trainable_variables, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path
