"""Random numbers as a function of run seed, step and purpose: there is no state to save.

Not for compiled code: XLA makes other floats from the same seed (tensorflow/tensorflow#117644).
"""

import tensorflow as tf

# What a number is for. Append only, since the numbers are part of a run; D_STEP stays last, as
# turn n of a step uses D_STEP + n.
SAMPLES, G_STEP, D_STEP = range(3)
# Followed by a number of images; below zero, as a step that is followed by a purpose is not.
EVALUATION = -1


def fold(seed, *numbers):
    """A new seed `[2]` for each distinct sequence of numbers, ints or scalar tensors."""
    for number in numbers:
        seed = tf.random.fold_in(seed, tf.cast(number, tf.int32), alg="philox")
    return seed


def latents_and_labels(seed, batch_size, config):
    """Standard normal `[batch_size, z_dim]` and uniform int32 `[batch_size]`."""
    latents = tf.random.stateless_normal([batch_size, config.z_dim], fold(seed, 0), alg="philox")
    classes = max(config.num_classes, 1)
    labels = tf.random.stateless_uniform(
        [batch_size], fold(seed, 1), 0, classes, tf.int32, alg="philox"
    )
    return latents, labels


def truncated_latents(seed, count, z_dim, truncation):
    """Normal numbers `[count, z_dim]` given that each is within +-`truncation`.

    By the inverse of the distribution function, so one uniform number makes one latent. The
    truncation trick of Brock et al. 2019, https://arxiv.org/abs/1809.11096, section 3.1, which
    redraws numbers outside: the same distribution.
    """
    uniform = tf.random.stateless_uniform([count, z_dim], seed, -1.0, 1.0, alg="philox")
    bound = tf.math.erf(tf.constant(truncation / 2**0.5, tf.float32))
    return tf.clip_by_value(2**0.5 * tf.math.erfinv(uniform * bound), -truncation, truncation)
