"""Blocks of the discriminator that are fixed functions of the images."""

import dataclasses

import numpy as np
import pytest
import smallest
import tensorflow as tf

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.networks.freezing import BLOCK_STARTS

SAGAN = Config(**smallest.NETWORKS, num_classes=3, init_from="preset:digits")
DCGAN = dataclasses.replace(SAGAN, **smallest.DCGAN)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 1)).astype("float32")
LABELS = tf.constant([0, 1, 2, 0])


def frozen(config, count):
    return networks.discriminator(dataclasses.replace(config, freeze_d=count))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SAGAN, ["block_8", "attention_8", "block_4", "last_block_0", "last_block_1", "logits"]),
        (DCGAN, ["conv_8", "relu_8", "conv_4", "norm_4", "relu_4", "logits"]),
    ],
    ids=["sagan", "dcgan"],
)
def test_a_block_is_frozen_with_what_follows_it_and_the_head_never(config, expected):
    names = [layer.name for layer in frozen(config, 0).stack]
    assert names == expected
    starts = [i for i, name in enumerate(names) if "block" in name or "conv" in name]
    for count in range(config.d_blocks + 1):
        network = frozen(config, count)
        still = [layer.name for layer in network.stack if not layer.trainable]
        assert still == expected[: [*starts, len(expected) - 1][count]]
        trained = {variable.path.split("/")[1] for variable in network.trainable_variables}
        assert not trained & set(still)
        assert "logits" in trained


@pytest.mark.parametrize("model", ["sagan", "dcgan"])
@pytest.mark.parametrize("image_size", [16, 32, 64, 128])
def test_configuration_knows_how_many_blocks_there_are(model, image_size):
    fields = {"image_size": image_size, "g_channels": 1, "d_channels": 1, "z_dim": 1}
    fields |= smallest.DCGAN if model == "dcgan" else {}
    config = Config(**fields, num_classes=0, init_from="preset:digits")
    stack = networks.discriminator(config).stack
    assert config.d_blocks == sum(isinstance(layer, BLOCK_STARTS) for layer in stack)
    with pytest.raises(UsageError, match=f"at most {config.d_blocks}, the blocks of this discr"):
        dataclasses.replace(config, freeze_d=config.d_blocks + 1)


def test_freezing_needs_weights_to_keep():
    with pytest.raises(UsageError, match="must be 0 without it. Received: freeze_d=1"):
        dataclasses.replace(SAGAN, init_from="", freeze_d=1)
    with pytest.raises(UsageError, match="freeze_d must be at least 0. Received: -1"):
        dataclasses.replace(SAGAN, freeze_d=-1)


@pytest.mark.parametrize("config", [SAGAN, DCGAN], ids=["sagan", "dcgan"])
def test_frozen_blocks_are_called_as_in_evaluation(config):
    """They keep singular vectors and moving statistics, which other layers store in training."""
    network = frozen(config, 2)
    for variable in network.variables:
        variable.assign(np.random.default_rng(1).uniform(0.5, 1.5, variable.shape))
    before = {variable.path: np.array(variable.numpy()) for variable in network.variables}
    features = [network.layer_inputs(IMAGES, LABELS)[0]]
    network(IMAGES, LABELS, training=True, advance_u=True)
    moved = {
        variable.path.split("/")[1]
        for variable in network.variables
        if not np.array_equal(variable.numpy(), before[variable.path])
    }
    assert moved == ({"last_block_0", "last_block_1", "logits"} if config is SAGAN else set())
    features.append(network.layer_inputs(IMAGES, LABELS)[0])
    first = next(layer.name for layer in network.stack if layer.trainable)
    np.testing.assert_array_equal(features[0][first], features[1][first])
    seen = []
    call = next(layer for layer in network.stack if layer.name == first).call

    def spy(inputs, *arguments, **named):
        seen.append(inputs)
        return call(inputs, *arguments, **named)

    layer = getattr(network, first)
    layer.call = spy
    network(IMAGES, LABELS, training=True, advance_u=True)
    np.testing.assert_allclose(seen[0], features[0][first], rtol=1e-6)
