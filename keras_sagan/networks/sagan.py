"""The networks of SAGAN, from 16 to 512 pixels, with a switch for every part of the ablation.

At 128 pixels they are the networks of the released code (generator.py, discriminator.py). The
widths at other sizes are our choice. From 64 pixels on, channels double with every halving of the
resolution, up to 16 times those at the image's end. At 16 and 32 pixels all feature maps have the
same width, as in SN-GAN's networks for CIFAR-10 (https://arxiv.org/abs/1802.05957, table 4).

Arguments of both functions, all by keyword:

    image_size: height and width of the images in pixels, a power of 2 from 16 to 512.
    image_channels: 1 for grayscale, 3 for RGB.
    channels: of the generator's last and of the discriminator's first feature maps.
    num_classes: classes of the labels; 0 for a network without labels.
    attention: heights in pixels of the feature maps that an attention layer follows.
    attention_block: "attention", or "residual" for the paper's control with as many parameters.
    spectral_norm: whether kernels are spectrally normalized.
    fast: whether operations are fused, or written as in the papers; equal up to rounding.

Arguments of the generator alone:

    z_dim: length of a latent vector.
    bn_momentum: decay of the moving statistics of the blocks, per training call.
    bn_momentum_last: the same for the last, unconditional batch normalization.
    sync_batch_norm: whether batch statistics are computed over all replicas.
"""

from collections.abc import Iterable

import keras

from keras_sagan.layers import (
    ConditionalBatchNormalization,
    ResidualControl,
    SelfAttention,
    SpectralConv2D,
    SpectralDense,
)
from keras_sagan.layers.tensors import at_least_float32
from keras_sagan.networks.blocks import DiscriminatorBlock, GeneratorBlock, ProjectionHead
from keras_sagan.networks.network import (
    LOWEST,
    Network,
    channels_last,
    check_images_and_classes,
    count_halvings,
)

ATTENTION_BLOCKS = ("attention", "residual")


@channels_last()
def generator(
    *,
    image_size: int = 128,
    image_channels: int = 3,
    z_dim: int = 128,
    channels: int = 64,
    num_classes: int = 0,
    attention: Iterable[int] = (),
    attention_block: str = "attention",
    spectral_norm: bool = True,
    bn_momentum: float = 0.999,
    bn_momentum_last: float = 0.9999,
    sync_batch_norm: bool = False,
    fast: bool = True,
) -> Network:
    """Makes the network from latents `[batch, z_dim]` and labels `[batch]` to images.

    Images are `[batch, image_size, image_size, image_channels]`, float32, in [-1, 1]. The module's
    docstring describes the arguments.

    Raises:
        ValueError: if no such network exists.
    """
    check_images_and_classes(image_size, num_classes)
    doublings = count_halvings(image_size)
    resolutions = [LOWEST << i for i in range(1, doublings + 1)]
    attended = attention_layers(attention, attention_block, resolutions, spectral_norm, fast)
    width = channels * multiplier(image_size, doublings)
    stack = [
        SpectralDense(LOWEST * LOWEST * width, normalize=spectral_norm, name="input_dense"),
        keras.layers.Reshape((LOWEST, LOWEST, width), name="input_reshape"),
    ]
    norm = {"synchronized": sync_batch_norm, "fast": fast}
    for i, resolution in enumerate(resolutions, start=1):
        width = channels * multiplier(image_size, doublings - i)
        settings = norm | {"normalize": spectral_norm, "name": f"block_{resolution}"}
        block = GeneratorBlock(width, num_classes, bn_momentum, **settings)
        stack += [block, *attended.get(resolution, [])]
    stack += [
        ConditionalBatchNormalization(momentum=bn_momentum_last, name="output_norm", **norm),
        *output_layers(image_channels, spectral_norm),
    ]
    return Network(stack, (z_dim,), num_classes, name="generator")


@channels_last()
def discriminator(
    *,
    image_size: int = 128,
    image_channels: int = 3,
    channels: int = 64,
    num_classes: int = 0,
    attention: Iterable[int] = (),
    attention_block: str = "attention",
    spectral_norm: bool = True,
    fast: bool = True,
) -> Network:
    """Makes the network from images and labels `[batch]` to logits `[batch]`.

    Images are `[batch, image_size, image_size, image_channels]`, in [-1, 1]. Logits are unbounded,
    float32. The module's docstring describes the arguments.

    Raises:
        ValueError: if no such network exists.
    """
    check_images_and_classes(image_size, num_classes)
    small = image_size <= 32
    halvings = 2 if small else count_halvings(image_size)
    resolutions = [image_size >> i for i in range(1, halvings + 1)]
    attended = attention_layers(attention, attention_block, resolutions, spectral_norm, fast)
    kernels = {"normalize": spectral_norm, "fast": fast}
    stack = []
    for i, resolution in enumerate(resolutions):
        width = channels * multiplier(image_size, i)
        block = DiscriminatorBlock(width, first=i == 0, name=f"block_{resolution}", **kernels)
        stack += [block, *attended.get(resolution, [])]
    width = channels * multiplier(image_size, halvings)
    for i in range(2 if small else 1):
        name = f"last_block_{i}"
        stack.append(DiscriminatorBlock(width, False, normalize=spectral_norm, name=name))
    stack.append(ProjectionHead(num_classes, normalize=spectral_norm, name="logits"))
    image_shape = (image_size, image_size, image_channels)
    return Network(stack, image_shape, num_classes, name="discriminator")


def multiplier(image_size: int, halvings: int) -> int:
    """How many times its channels at the image's end a network has `halvings` away from it."""
    return 1 if image_size <= 32 else min(2**halvings, 16)


def output_layers(image_channels: int, spectral_norm: bool) -> list[keras.layers.Layer]:
    """Normalized feature maps to images."""
    dtype = at_least_float32(keras.config.dtype_policy().compute_dtype)
    return [
        keras.layers.ReLU(name="output_relu"),
        SpectralConv2D(image_channels, normalize=spectral_norm, name="output_conv"),
        keras.layers.Activation("tanh", dtype=dtype, name="images"),
    ]


def attention_layers(attention, attention_block, resolutions, spectral_norm, fast):
    """The layer that follows the feature maps of each resolution in `attention`.

    Raises:
        ValueError: if it is none of `resolutions`, or `attention_block` is unknown.
    """
    if attention_block not in ATTENTION_BLOCKS:
        raise ValueError(
            f"`attention_block` must be one of {', '.join(ATTENTION_BLOCKS)}. "
            f"Received: attention_block={attention_block!r}"
        )
    attention = sorted(set(attention))
    if not set(attention) <= set(resolutions):
        raise ValueError(
            f"`attention` must be some of {sorted(resolutions)}, the heights of this network's "
            f"feature maps. Received: attention={attention}"
        )
    if attention_block == "residual":
        return {at: [ResidualControl(spectral_norm, name=f"residual_{at}")] for at in attention}
    return {at: [SelfAttention(spectral_norm, fast, name=f"attention_{at}")] for at in attention}
