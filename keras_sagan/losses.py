"""Adversarial losses: of logits to scalars, means over the batch."""

import tensorflow as tf


def discriminator_hinge(real_logits, fake_logits):
    """Lim and Ye 2017, https://arxiv.org/abs/1705.02894; SAGAN equation 4."""
    real = tf.reduce_mean(tf.nn.relu(1.0 - real_logits))
    return real + tf.reduce_mean(tf.nn.relu(1.0 + fake_logits))


def generator_hinge(fake_logits):
    """SAGAN equation 4."""
    return -tf.reduce_mean(fake_logits)


def discriminator_non_saturating(real_logits, fake_logits):
    """Cross-entropy of real against fake: Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661."""
    real = tf.reduce_mean(tf.nn.softplus(-real_logits))
    return real + tf.reduce_mean(tf.nn.softplus(fake_logits))


def generator_non_saturating(fake_logits):
    """The generator's -log D(G(z)) of the same paper, section 3."""
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


# By the name of `Config.loss`: the discriminator's, the generator's.
LOSSES = {
    "hinge": (discriminator_hinge, generator_hinge),
    "non_saturating": (discriminator_non_saturating, generator_non_saturating),
}
