"""The networks of SAGAN, from 16 to 512 pixels, with every part of the ablation on a switch.

At 128 pixels they are those of the released code (generator.py, discriminator.py). Widths at the
other sizes are our choice: from 64 pixels on, channels double with every halving of the
resolution, up to 16 times those at the image's end; at 16 and 32 pixels they are the same
everywhere, as in SN-GAN's networks for CIFAR-10 (https://arxiv.org/abs/1802.05957, table 4).
"""

import keras

from keras_sagan.layers import (
    ConditionalBatchNormalization,
    ResidualControl,
    SelfAttention,
    SpectralConv2D,
    SpectralDense,
)
from keras_sagan.networks.blocks import DiscriminatorBlock, GeneratorBlock, ProjectionHead
from keras_sagan.networks.network import Network

# The generator starts, and the discriminator ends, with feature maps of this size, in pixels.
LOWEST = 4


def generator(config):
    """Latents `[batch, z_dim]` and labels `[batch]` to images in [-1, 1], float32."""
    doublings = (config.image_size // LOWEST).bit_length() - 1
    width = config.g_channels * multiplier(config, doublings)
    normalize = config.g_spectral_norm
    stack = [
        SpectralDense(LOWEST * LOWEST * width, normalize=normalize, name="input_dense"),
        keras.layers.Reshape((LOWEST, LOWEST, width), name="input_reshape"),
    ]
    for i in reversed(range(doublings)):
        resolution = config.image_size >> i
        block = GeneratorBlock(
            config.g_channels * multiplier(config, i),
            config.num_classes,
            config.bn_momentum,
            config.sync_batch_norm,
            normalize=normalize,
            fast=config.fast,
            name=f"block_{resolution}",
        )
        stack.append(block)
        if resolution in config.g_attention_resolutions:
            stack.append(attention(config, resolution, normalize))
    last_norm = ConditionalBatchNormalization(
        momentum=config.bn_momentum_last,
        synchronized=config.sync_batch_norm,
        fast=config.fast,
        name="output_norm",
    )
    stack += [
        last_norm,
        keras.layers.ReLU(name="output_relu"),
        SpectralConv2D(config.image_channels, normalize=normalize, name="output_conv"),
        keras.layers.Activation("tanh", dtype="float32", name="images"),
    ]
    return Network(stack, (config.z_dim,), config.num_classes, name="generator")


def discriminator(config):
    """Images in [-1, 1] and labels `[batch]` to logits `[batch]`, unbounded, float32."""
    normalize = config.d_spectral_norm
    small = config.image_size <= 32
    halvings = 2 if small else (config.image_size // LOWEST).bit_length() - 1
    stack = []
    for i in range(halvings):
        resolution = config.image_size >> (i + 1)
        block = DiscriminatorBlock(
            config.d_channels * multiplier(config, i),
            first=i == 0,
            normalize=normalize,
            fast=config.fast,
            name=f"block_{resolution}",
        )
        stack.append(block)
        if resolution in config.d_attention_resolutions:
            stack.append(attention(config, resolution, normalize))
    width = config.d_channels * multiplier(config, halvings)
    stack += [
        DiscriminatorBlock(width, downsample=False, normalize=normalize, name=f"last_block_{i}")
        for i in range(2 if small else 1)
    ]
    stack.append(ProjectionHead(config.num_classes, normalize=normalize, name="logits"))
    image_shape = (config.image_size, config.image_size, config.image_channels)
    return Network(stack, image_shape, config.num_classes, name="discriminator")


def multiplier(config, halvings):
    """How many times its channels at the image's end a network has, `halvings` away from it."""
    return 1 if config.image_size <= 32 else min(2**halvings, 16)


def attention(config, resolution, normalize):
    name = f"{config.attention_block}_{resolution}"
    if config.attention_block == "residual":
        return ResidualControl(normalize, name=name)
    return SelfAttention(normalize, config.fast, name=name)
