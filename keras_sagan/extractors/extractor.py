"""What every extractor is to its users."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_sagan.metrics.protocol import Protocol

# Height and width that the Inception network takes.
INCEPTION_SIZE = 299
# Images at a time, where features are made of whole arrays.
BATCH = 100


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A network behind the preprocessing of a protocol.

    Attributes:
        name: str, the suffix of metrics: a protocol, or a classifier and its hash.
        inception: bool, whether it is the 2015 Inception network, the only one of which a distance
            is called `fid`.
        labels: bool, whether its logits are of the classes of the data set.
        protocol: `Protocol`.
        network: function of images, float32 `[n, H, W, C]` as `protocol` makes them, to features
            `[n, d]` and logits `[n, classes]`.
        record: dict, what it is: `sha256` of its weights and more.
    """

    name: str
    inception: bool
    labels: bool
    protocol: Protocol
    network: Callable
    record: dict

    def __call__(self, images):
        """Features and logits, float32, of images `[n, H, W, C]` in [-1, 1]."""
        return self.network(preprocess(images, self.protocol))

    def features(self, levels):
        """Features, float32 `[n, d]`, of images as levels, uint8 `[n, H, W, C]`, for any n."""
        pieces = [levels[i : i + BATCH] for i in range(0, len(levels), BATCH)]
        images = (tf.cast(piece, tf.float32) * (2 / 255) - 1 for piece in pieces)
        return np.concatenate([self(piece)[0].numpy() for piece in images])


def preprocess(images, protocol):
    """Images in [-1, 1] as the network of `protocol` takes them."""
    levels = (tf.clip_by_value(tf.cast(images, tf.float32), -1.0, 1.0) + 1) * 127.5
    if protocol.quantize:
        levels = tf.floor(levels + 0.5)
    if protocol.resize:
        if levels.shape[-1] == 1:
            levels = tf.repeat(levels, 3, axis=-1)
        levels = RESIZE[protocol.resize](levels)
    return levels / 127.5 - 1 if protocol.scale == "unit" else (levels - 128) / 128


def legacy_resize(images, size=INCEPTION_SIZE):
    """TensorFlow 1's bilinear: pixel i comes from i * old / new, edges are not centered.

    `tf.image.resize`, which centers them, gives other images: by 6 to 11 levels of 255 on average
    for noise of 32 to 128 pixels.
    """
    return tf.raw_ops.ResizeBilinear(
        images=images, size=[size, size], align_corners=False, half_pixel_centers=False
    )


def antialias_resize(images, size=INCEPTION_SIZE):
    """Bicubic with antialiasing, clipped to levels, as clean-fid does with Pillow."""
    resized = tf.image.resize(images, [size, size], "bicubic", antialias=True)
    return tf.clip_by_value(resized, 0.0, 255.0)


RESIZE = {"legacy": legacy_resize, "antialias": antialias_resize}
