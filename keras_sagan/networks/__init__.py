"""The two networks of an experiment, as functions of its `Config`."""

import contextlib

import keras

from keras_sagan.networks import dcgan, sagan

FAMILIES = {"sagan": sagan, "dcgan": dcgan}


def generator(config):
    """Latents `[batch, z_dim]` and labels `[batch]` to images in [-1, 1], float32."""
    with dtype_policy(config.precision):
        return FAMILIES[config.model].generator(config)


def discriminator(config):
    """Images in [-1, 1] and labels `[batch]` to logits `[batch]`, unbounded, float32."""
    with dtype_policy(config.precision):
        return FAMILIES[config.model].discriminator(config)


@contextlib.contextmanager
def dtype_policy(name):
    """Layers made in this context have the dtype policy `name`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
