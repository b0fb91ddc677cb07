"""Blocks of a discriminator that do not train: FreezeD.

Source: Mo et al. 2020, https://arxiv.org/abs/2002.10964, section 2.2: a discriminator's first
blocks, nearest the image, are features that images of many kinds share.
"""

import keras

from keras_sagan.networks.blocks import DiscriminatorBlock
from keras_sagan.networks.network import Network

# A block starts with one of these and extends to the next.
BLOCK_STARTS = (DiscriminatorBlock, keras.layers.Conv2D)


def freeze_blocks(discriminator: Network, count: int) -> None:
    """Freezes the first `count` blocks of a discriminator, each with the attention after it.

    `Network` calls frozen layers as in evaluation, so they are fixed functions of the images: their
    singular vectors and moving statistics stay, too, and these statistics normalize. The head
    always trains.
    """
    started = 0
    for layer in discriminator.stack[:-1]:
        started += isinstance(layer, BLOCK_STARTS)
        if started > count:
            break
        layer.trainable = False
