"""Adversarial losses and penalties of the discriminator: scalars, means over the batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = [
    "discriminator_hinge",
    "discriminator_least_squares",
    "discriminator_non_saturating",
    "discriminator_wasserstein",
    "generator_hinge",
    "generator_least_squares",
    "generator_non_saturating",
    "generator_wasserstein",
    "lecam_penalty",
    "r1_penalty",
]
Logits = tf.Tensor | np.ndarray


def discriminator_hinge(real_logits: Logits, fake_logits: Logits) -> tf.Tensor:
    """Lim and Ye 2017, https://arxiv.org/abs/1705.02894; SAGAN equation 4.

    Args:
        real_logits: `[n]`, of real images.
        fake_logits: `[m]`, of generated images.

    Returns:
        Scalar, the discriminator's loss.
    """
    real = tf.reduce_mean(tf.nn.relu(1.0 - real_logits))
    return real + tf.reduce_mean(tf.nn.relu(1.0 + fake_logits))


def generator_hinge(fake_logits: Logits) -> tf.Tensor:
    """SAGAN equation 4.

    Args:
        fake_logits: `[n]`, of generated images.

    Returns:
        Scalar, the generator's loss.
    """
    return -tf.reduce_mean(fake_logits)


def discriminator_non_saturating(real_logits: Logits, fake_logits: Logits) -> tf.Tensor:
    """Cross-entropy of real against fake: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661.

    Args:
        real_logits: `[n]`, of real images.
        fake_logits: `[m]`, of generated images.

    Returns:
        Scalar, the discriminator's loss.
    """
    real = tf.reduce_mean(tf.nn.softplus(-real_logits))
    return real + tf.reduce_mean(tf.nn.softplus(fake_logits))


def generator_non_saturating(fake_logits: Logits) -> tf.Tensor:
    """The generator's -log D(G(z)) of the same paper, section 3.

    Args:
        fake_logits: `[n]`, of generated images.

    Returns:
        Scalar, the generator's loss.
    """
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def discriminator_least_squares(real_logits: Logits, fake_logits: Logits) -> tf.Tensor:
    """Mao et al. 2017, https://arxiv.org/abs/1611.04076, equation 9: fakes toward 0, real toward 1.

    Args:
        real_logits: `[n]`, of real images.
        fake_logits: `[m]`, of generated images.

    Returns:
        Scalar, the discriminator's loss.
    """
    real = tf.reduce_mean(tf.square(real_logits - 1.0))
    return (real + tf.reduce_mean(tf.square(fake_logits))) / 2


def generator_least_squares(fake_logits: Logits) -> tf.Tensor:
    """The generator's loss of the same equation: fakes toward 1.

    Args:
        fake_logits: `[n]`, of generated images.

    Returns:
        Scalar, the generator's loss.
    """
    return tf.reduce_mean(tf.square(fake_logits - 1.0)) / 2


def discriminator_wasserstein(real_logits: Logits, fake_logits: Logits) -> tf.Tensor:
    """Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875, equation 2, negated.

    The paper clips weights to bound the discriminator's slope. Nothing here does: use spectral
    normalization or a gradient penalty.

    Args:
        real_logits: `[n]`, of real images.
        fake_logits: `[m]`, of generated images.

    Returns:
        Scalar, the discriminator's loss.
    """
    return tf.reduce_mean(fake_logits) - tf.reduce_mean(real_logits)


def generator_wasserstein(fake_logits: Logits) -> tf.Tensor:
    """The generator's loss of the same paper, equation 3; equal to `generator_hinge`.

    Args:
        fake_logits: `[n]`, of generated images.

    Returns:
        Scalar, the generator's loss.
    """
    return generator_hinge(fake_logits)


def lecam_penalty(
    real_logits: Logits,
    fake_logits: Logits,
    real_average: tf.Tensor | float,
    fake_average: tf.Tensor | float,
) -> tf.Tensor:
    """Keeps logits near the averages of the other kind: Tseng et al. 2021, equation 3.

    For few images. Source: https://arxiv.org/abs/2104.03310. As in the released code
    (google/lecam-gan, losses.py), only real logits above the average of fakes count, and only fake
    logits below the average of real images. The paper's equation counts both sides.

    Args:
        real_logits: `[n]`, of real images.
        fake_logits: `[m]`, of generated images.
        real_average: scalar, moving average of the logits of real images; a constant.
        fake_average: scalar, the same for generated images.

    Returns:
        Scalar, to be weighted and added to the discriminator's loss.
    """
    real_average, fake_average = tf.stop_gradient(real_average), tf.stop_gradient(fake_average)
    real = tf.reduce_mean(tf.square(tf.nn.relu(real_logits - fake_average)))
    return real + tf.reduce_mean(tf.square(tf.nn.relu(real_average - fake_logits)))


def r1_penalty(
    discriminate: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor | np.ndarray
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, equation 9, without its gamma.

    Half of the mean, over real images, of the squared norm of the logit's gradient with respect to
    the image. It is differentiable with respect to the discriminator's weights. Each logit must
    depend on its own image only; with batch normalization, it is not that gradient.

    Args:
        discriminate: from images to logits `[n]`, differentiable twice.
        images: `[n, height, width, channels]`, real.

    Returns:
        The logits `[n]`, and the penalty, a scalar to be weighted and added to the
        discriminator's loss.
    """
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = discriminate(images)
    gradients: Any = tape.gradient(logits, images)  # Of the sum of the logits.
    squares = tf.reduce_sum(tf.square(tf.cast(gradients, logits.dtype)), axis=[1, 2, 3])
    return logits, tf.reduce_mean(squares) / 2


# By the name of `Config.loss`: the discriminator's, the generator's.
LOSSES = {
    "hinge": (discriminator_hinge, generator_hinge),
    "non_saturating": (discriminator_non_saturating, generator_non_saturating),
    "least_squares": (discriminator_least_squares, generator_least_squares),
    "wasserstein": (discriminator_wasserstein, generator_wasserstein),
}
