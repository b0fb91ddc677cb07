"""Changes of resolution by a factor of two, for `[batch, height, width, channels]`.

They occur alone and together with a stride-1 "same" convolution: "up" upsamples before it, "down"
average-pools after it. Upsampled pixels are equal within 2x2 squares, and pooling averages such
squares. Both are therefore a single convolution of stride 2, whose kernel holds the sums over the
2x2 squares of the smaller kernel. For a 3x3 kernel that takes 16 products per pixel of the lower
resolution instead of 36. A 1x1 convolution mixes no positions, so it simply runs at the lower
resolution.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_sagan.layers.tensors import sizes_of


@tf.custom_gradient
def upsample(images: tf.Tensor) -> Any:  # Of the pair, the decorator returns the outputs.
    """Doubles height and width by nearest neighbor: each pixel becomes a 2x2 square."""
    batch, height, width, channels = sizes_of(images)
    pixels = tf.reshape(images, [-1, height, 1, width, 1, channels])
    squares = tf.broadcast_to(pixels, [batch, height, 2, width, 2, channels])
    # The gradient sums each square. As a pooling it is ten times as fast on CPUs as the sum over
    # axes that differentiation of the line above gives.
    return tf.reshape(squares, [-1, 2 * height, 2 * width, channels]), lambda g: 4 * average_pool(g)


def average_pool(images: tf.Tensor) -> tf.Tensor:
    """Halves height and width: the mean of each 2x2 square."""
    return tf.nn.avg_pool2d(images, 2, 2, "VALID")


def max_pool(images: tf.Tensor) -> tf.Tensor:
    """Halves height and width: the maximum of each 2x2 square.

    The four pixels of a square are placed side by side in the channels and compared. The gradient
    of the max-pooling operation (select-and-scatter) does not compile when XLA must be
    deterministic, and strided slices are five times as slow on CPUs. In this order, values and
    gradients equal `tf.nn.max_pool2d` bit for bit, ties included.
    """
    first, second, third, fourth = tf.split(tf.nn.space_to_depth(images, 2), 4, axis=-1)
    return tf.maximum(tf.maximum(first, second), tf.maximum(third, fourth))


def resampled_shape(shape: tuple[int | None, ...], resample: str) -> tuple[int | None, ...]:
    """The shape of images `[batch, height, width, channels]` after "none", "up" or "down"."""
    change = {"none": lambda n: n, "up": lambda n: 2 * n, "down": lambda n: n // 2}[resample]
    batch, *sizes, channels = shape
    return (batch, *(None if size is None else change(size) for size in sizes), channels)


def convolve(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves with stride 1 and "same" padding; `kernel` is `[h, w, channels, filters]`."""
    return tf.nn.conv2d(images, tf.cast(kernel, images.dtype), 1, "SAME")


def convolve_upsampled(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """`convolve(upsample(images), kernel)` as one convolution, for a kernel of odd size."""
    if kernel.shape[:2] == (1, 1):
        return upsample(convolve(images, kernel))
    batch, height, width, _ = sizes_of(images)
    shape = [batch, 2 * height, 2 * width, kernel.shape[3]]
    # A transposed convolution reads its kernel backwards.
    squares = sums_of_squares(tf.transpose(kernel, [0, 1, 3, 2]), flip=True)
    kernel = tf.cast(squares, images.dtype)
    # "SAME" divides the padding equally here. Explicit padding makes bfloat16 gradients ten times
    # as slow on CPUs. TensorFlow's stub does not know that a shape may be a list.
    return tf.nn.conv2d_transpose(images, kernel, shape, 2, "SAME")  # pyright: ignore[reportArgumentType]


def convolve_and_pool(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """`average_pool(convolve(images, kernel))` as one convolution, for a kernel of odd size."""
    if kernel.shape[:2] == (1, 1):
        return convolve(average_pool(images), kernel)
    if any(size is None or size % 2 for size in images.shape[1:3]):
        # "SAME" would shift the squares: pooling drops the last row of an odd size.
        return average_pool(convolve(images, kernel))
    squares = sums_of_squares(kernel, weight=0.25)
    return tf.nn.conv2d(images, tf.cast(squares, images.dtype), 2, "SAME")


def sums_of_squares(kernel: tf.Tensor, flip: bool = False, weight: float = 1.0) -> tf.Tensor:
    """Sums over all 2x2 squares that touch the kernel.

    It is one product with a constant matrix: its gradient is ten times as fast on CPUs as adding up
    four padded kernels.

    Args:
        kernel: `[h, w, C, F]`.
        flip: bool, whether the result is upside down and mirrored.
        weight: float, a factor of the sums.

    Returns:
        `[h + 1, w + 1, C, F]`.
    """
    height, width, *channels = sizes_of(kernel)
    rows, columns = (np.eye(n + 1, n) + np.eye(n + 1, n, -1) for n in (height, width))
    matrix = weight * np.kron(rows, columns)  # [(h + 1) (w + 1), h w]
    matrix = tf.constant(matrix[::-1] if flip else matrix, kernel.dtype)
    sums = tf.matmul(matrix, tf.reshape(kernel, [height * width, -1]))
    return tf.reshape(sums, [height + 1, width + 1, *channels])


# By the change of resolution: as the papers write it, and as one convolution.
PLAIN: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "none": convolve,
    "up": lambda images, kernel: convolve(upsample(images), kernel),
    "down": lambda images, kernel: average_pool(convolve(images, kernel)),
}
FUSED = {"none": convolve, "up": convolve_upsampled, "down": convolve_and_pool}
