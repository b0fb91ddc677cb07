"""Every layer, with arguments that are no defaults, an input and further call arguments."""

import keras
import numpy as np

from keras_sagan.layers import (
    ConditionalBatchNormalization,
    ResidualControl,
    SelfAttention,
    SpectralConv2D,
    SpectralDense,
    SpectralEmbedding,
    SpectralNormalization,
)
from keras_sagan.networks.blocks import DiscriminatorBlock, GeneratorBlock, ProjectionHead
from keras_sagan.networks.dcgan import Head

rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(4, 4, 4, 16)).astype("float32")
VECTORS = rng.normal(size=(4, 5)).astype("float32")
LABELS = np.array([0, 2, 1, 2], "int32")


def wrapped(dtype=None, **settings):
    """A convolution of Keras, spectrally normalized."""
    conv = keras.layers.Conv2D(3, 3, strides=2, padding="same", dtype=dtype)
    return SpectralNormalization(conv, **settings)


LABELED, SPECTRAL = {"labels": LABELS}, {"advance_u": True}
TRAINING = {"training": True}
LAYERS = {
    "conv": (SpectralConv2D, {"filters": 3, "kernel_size": 5, "use_bias": False}, IMAGES, SPECTRAL),
    "conv_plain": (SpectralConv2D, {"filters": 3, "normalize": False}, IMAGES, SPECTRAL),
    "conv_up": (SpectralConv2D, {"filters": 3, "resample": "up"}, IMAGES, SPECTRAL),
    "conv_down": (
        SpectralConv2D,
        {"filters": 3, "resample": "down", "fast": False},
        IMAGES,
        SPECTRAL,
    ),
    "dense": (SpectralDense, {"units": 3, "kernel_initializer": "ones"}, VECTORS, SPECTRAL),
    "embedding": (SpectralEmbedding, {"num_classes": 3, "dim": 6}, LABELS, SPECTRAL),
    "wrapped": (wrapped, {"power_iterations": 2}, IMAGES, SPECTRAL),
    "attention": (SelfAttention, {}, IMAGES, SPECTRAL),
    "attention_plain": (SelfAttention, {"normalize": False, "fast": False}, IMAGES, SPECTRAL),
    "control": (ResidualControl, {}, IMAGES, SPECTRAL),
    "norm": (
        ConditionalBatchNormalization,
        {"num_classes": 3, "momentum": 0.5, "epsilon": 0.1},
        IMAGES,
        LABELED | TRAINING,
    ),
    "norm_plain": (ConditionalBatchNormalization, {"synchronized": True}, IMAGES, TRAINING),
    "g_block": (
        GeneratorBlock,
        {"filters": 6, "num_classes": 3, "momentum": 0.5},
        IMAGES,
        LABELED | TRAINING | SPECTRAL,
    ),
    "g_block_plain": (
        GeneratorBlock,
        {"filters": 6, "synchronized": True, "normalize": False, "fast": False},
        IMAGES,
        TRAINING,
    ),
    "d_block": (DiscriminatorBlock, {"filters": 6}, IMAGES, SPECTRAL),
    "d_block_first": (
        DiscriminatorBlock,
        {"filters": 6, "first": True, "fast": False},
        IMAGES,
        SPECTRAL,
    ),
    "d_block_last": (DiscriminatorBlock, {"filters": 16, "downsample": False}, IMAGES, SPECTRAL),
    "head": (ProjectionHead, {"num_classes": 3}, IMAGES, LABELED | SPECTRAL),
    "head_plain": (ProjectionHead, {"normalize": False}, IMAGES, SPECTRAL),
    "dcgan_head": (Head, {"num_classes": 3}, IMAGES, LABELED),
}


def built(case, **settings):
    """The layer with distinct weights, so that two swapped ones cannot pass."""
    layer_class, arguments, inputs, call = case
    keras.utils.set_random_seed(0)
    layer = layer_class(**arguments, **settings)
    layer(inputs, **evaluation(call))
    randomize(layer)
    return layer


def randomize(layer):
    draw = np.random.default_rng(3)
    for variable in layer.variables:
        value = draw.normal(size=variable.shape) / 3
        variable.assign(1 + np.abs(value) if "variance" in variable.name else value)


def evaluation(call):
    return {name: value for name, value in call.items() if name == "labels"}


def values(layer):
    return [variable.numpy() for variable in layer.variables]
