"""The interface of every extractor, and its preprocessing."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_sagan.metrics.protocol import Protocol

# Height and width of the Inception network's input.
INCEPTION_SIZE = 299
# Images at a time, for the features of whole arrays.
BATCH = 100
# A function of images to features and logits.
FeatureNetwork = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A network behind a protocol's preprocessing."""

    name: str  # The suffix of metrics: a protocol, or a trained network and its hash.
    inception: bool  # The 2015 Inception network, whose distance alone is called `fid`.
    # What its logits are over: "classes" (of the data set), "rotations", or "other".
    predicts: str
    protocol: Protocol  # How images become the network's input.
    # Images, float32 `[n, H, W, C]` as `protocol` makes them, to features `[n, d]` and logits
    # `[n, answers]`.
    network: FeatureNetwork
    record: dict[str, Any]  # What identifies the network: `sha256` of its weights, and more.

    def __call__(self, images: tf.Tensor | np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """Features and logits, float32, of images `[n, H, W, C]` in [-1, 1]."""
        return self.network(preprocess(images, self.protocol))

    def features(self, levels: np.ndarray) -> np.ndarray:
        """Features, float32 `[n, d]`, of any number of images, uint8 `[n, H, W, C]`."""
        pieces = [levels[i : i + BATCH] for i in range(0, len(levels), BATCH)]
        images = (tf.cast(piece, tf.float32) * (2 / 255) - 1 for piece in pieces)
        return np.concatenate([self(piece)[0].numpy() for piece in images])


def preprocess(images: tf.Tensor | np.ndarray, protocol: Protocol) -> tf.Tensor:
    """Turns images in [-1, 1] into the network's input, as `protocol` says."""
    levels = (tf.clip_by_value(tf.cast(images, tf.float32), -1.0, 1.0) + 1) * 127.5
    if protocol.quantize:
        levels = tf.floor(levels + 0.5)
    if protocol.resize:
        if levels.shape[-1] == 1:
            levels = tf.repeat(levels, 3, axis=-1)
        levels = RESIZE[protocol.resize](levels)
    return levels / 127.5 - 1 if protocol.scale == "unit" else (levels - 128) / 128


def legacy_resize(images: tf.Tensor | np.ndarray, size: int = INCEPTION_SIZE) -> tf.Tensor:
    """Bilinear as in TensorFlow 1: pixel i comes from i * old / new, without centering.

    `tf.image.resize` centers the pixels. For noise of 32 to 128 pixels its images differ by 6 to
    11 of 255 levels on average.
    """
    return tf.raw_ops.ResizeBilinear(
        images=images, size=[size, size], align_corners=False, half_pixel_centers=False
    )


def antialias_resize(images: tf.Tensor | np.ndarray, size: int = INCEPTION_SIZE) -> tf.Tensor:
    """Antialiased bicubic, clipped to the range of levels, as in clean-fid by Pillow."""
    resized = tf.image.resize(images, [size, size], "bicubic", antialias=True)
    return tf.clip_by_value(resized, 0.0, 255.0)


RESIZE = {"legacy": legacy_resize, "antialias": antialias_resize}
