"""The two networks of an experiment: the one place that takes their arguments from a `Config`."""

import contextlib
from collections.abc import Iterator

import keras

from keras_sagan.config import Config
from keras_sagan.networks import dcgan, sagan
from keras_sagan.networks.freezing import freeze_blocks
from keras_sagan.networks.network import Network

__all__ = ["dcgan", "discriminator", "generator", "sagan"]
FAMILIES = {"sagan": sagan, "dcgan": dcgan}
# Fields that are arguments of every network.
SHARED = ("image_size", "image_channels", "num_classes", "fast")


def generator(config: Config) -> Network:
    """Makes the generator of an experiment, with its dtype policy.

    Returns:
        Latents `[batch, z_dim]` and labels `[batch]` to images in [-1, 1], float32.
    """
    arguments = {name: getattr(config, name) for name in (*SHARED, "z_dim")}
    if config.model == "sagan":
        arguments |= {
            "attention": config.g_attention_resolutions,
            "attention_block": config.attention_block,
            "spectral_norm": config.g_spectral_norm,
            "bn_momentum_last": config.bn_momentum_last,
        }
    arguments |= {"bn_momentum": config.bn_momentum, "sync_batch_norm": config.sync_batch_norm}
    with dtype_policy(config.precision):
        return FAMILIES[config.model].generator(channels=config.g_channels, **arguments)


def discriminator(config: Config) -> Network:
    """Makes the discriminator of an experiment, with its dtype policy and its frozen blocks.

    Returns:
        Images in [-1, 1] and labels `[batch]` to logits `[batch]`, unbounded, float32.
    """
    arguments = {name: getattr(config, name) for name in SHARED}
    if config.model == "sagan":
        arguments |= {
            "attention": config.d_attention_resolutions,
            "attention_block": config.attention_block,
            "spectral_norm": config.d_spectral_norm,
        }
    else:
        arguments |= {"bn_momentum": config.bn_momentum, "sync_batch_norm": config.sync_batch_norm}
    with dtype_policy(config.precision):
        network = FAMILIES[config.model].discriminator(channels=config.d_channels, **arguments)
    freeze_blocks(network, config.freeze_d)
    return network


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made in this context have the dtype policy `name`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
