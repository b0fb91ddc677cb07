"""Changes of resolution by a factor of two, for `[batch, height, width, channels]`.

Alone, and together with a stride-1 "same" convolution: "up" is an upsampling before it, "down" an
average pooling after it. Upsampled pixels are equal in 2x2 squares, and a mean is over such a
square, so both are one convolution of stride 2 whose kernel holds the sums of each 2x2 square of
the smaller kernel: 16 products a pixel of the lower resolution instead of 36 for a 3x3 kernel. A
1x1 convolution does not mix positions and moves to the lower resolution as it is.
"""

import numpy as np
import tensorflow as tf


@tf.custom_gradient
def upsample(images):
    """Nearest neighbor: each pixel becomes a 2x2 square."""
    height, width, channels = images.shape[1:]
    pixels = tf.reshape(images, [-1, height, 1, width, 1, channels])
    squares = tf.broadcast_to(pixels, [tf.shape(pixels)[0], height, 2, width, 2, channels])
    # The gradient sums each square. As a pooling it is ten times as fast on CPUs as the sum over
    # axes that differentiating the line above gives.
    return tf.reshape(squares, [-1, 2 * height, 2 * width, channels]), lambda g: 4 * average_pool(g)


def average_pool(images):
    """Mean of each 2x2 square."""
    return tf.nn.avg_pool2d(images, 2, 2, "VALID")


def max_pool(images):
    """Maximum of each 2x2 square.

    Written as the maximum of the four pixels of a square, side by side in the channels: the
    gradient of the max-pooling operation (select-and-scatter) does not compile when XLA has to be
    deterministic, and strided slices are five times as slow on CPUs. In this order values and
    gradients equal those of `tf.nn.max_pool2d` bit for bit, ties included.
    """
    first, second, third, fourth = tf.split(tf.nn.space_to_depth(images, 2), 4, axis=-1)
    return tf.maximum(tf.maximum(first, second), tf.maximum(third, fourth))


def convolve(images, kernel):
    """Stride 1, "same"; `kernel` is `[k, k, channels, filters]`, float32."""
    return tf.nn.conv2d(images, tf.cast(kernel, images.dtype), 1, "SAME")


def convolve_upsampled(images, kernel):
    """`convolve(upsample(images), kernel)`, for a kernel of odd size, as one convolution."""
    if kernel.shape[0] == 1:
        return upsample(convolve(images, kernel))
    height, width = images.shape[1:3]
    shape = [tf.shape(images)[0], 2 * height, 2 * width, kernel.shape[3]]
    # A transposed convolution reads its kernel backwards.
    squares = sums_of_squares(tf.transpose(kernel, [0, 1, 3, 2]), flip=True)
    # "SAME" divides the padding equally here. The same padding written out makes bfloat16
    # gradients on CPUs ten times as slow.
    return tf.nn.conv2d_transpose(images, tf.cast(squares, images.dtype), shape, 2, "SAME")


def convolve_and_pool(images, kernel):
    """`average_pool(convolve(images, kernel))`, for a kernel of odd size, as one convolution."""
    if kernel.shape[0] == 1:
        return convolve(average_pool(images), kernel)
    if any(size is None or size % 2 for size in images.shape[1:3]):
        # "SAME" would shift the squares: of an odd size the last row is pooled away, yet seen.
        return average_pool(convolve(images, kernel))
    squares = sums_of_squares(kernel, weight=0.25)
    return tf.nn.conv2d(images, tf.cast(squares, images.dtype), 2, "SAME")


def sums_of_squares(kernel, flip=False, weight=1.0):
    """Sums over all 2x2 squares that touch the kernel: `[k, k, C, F]` to `[k+1, k+1, C, F]`.

    Times `weight`, and upside down and mirrored if `flip`.

    As one product with a constant matrix, whose gradient is ten times as fast on CPUs as that of
    four padded kernels added up.
    """
    size, _, *channels = kernel.shape
    pairs = np.eye(size + 1, size) + np.eye(size + 1, size, -1)
    matrix = weight * np.kron(pairs, pairs)  # [(k + 1)^2, k^2]
    matrix = tf.constant(matrix[::-1] if flip else matrix, kernel.dtype)
    sums = tf.matmul(matrix, tf.reshape(kernel, [size * size, -1]))
    return tf.reshape(sums, [size + 1, size + 1, *channels])


# What a convolution does besides, as the networks are written, and as one convolution.
PLAIN = {
    "none": convolve,
    "up": lambda images, kernel: convolve(upsample(images), kernel),
    "down": lambda images, kernel: average_pool(convolve(images, kernel)),
}
FUSED = {"none": convolve, "up": convolve_upsampled, "down": convolve_and_pool}
