"""Adversarial losses: of logits to scalars, means over the batch."""

import numpy as np
import tensorflow as tf

__all__ = [
    "discriminator_hinge",
    "discriminator_non_saturating",
    "generator_hinge",
    "generator_non_saturating",
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


# By the name of `Config.loss`: the discriminator's, the generator's.
LOSSES = {
    "hinge": (discriminator_hinge, generator_hinge),
    "non_saturating": (discriminator_non_saturating, generator_non_saturating),
}
