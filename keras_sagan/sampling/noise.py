"""Random numbers as a function of run seed, step and purpose: there is no state to save.

A seed `[2]` is the number of times that the run went back (`rollback.py`), and the seed of the run.

Not for compiled code: XLA makes other floats from the same seed (tensorflow/tensorflow#117644).
"""

import numpy as np
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


def latents_and_labels(seed, batch_size, z_dim, class_weights):
    """Standard normal `[batch_size, z_dim]`, and int32 `[batch_size]` drawn by weight.

    Args:
        seed: int32 `[2]`.
        batch_size: int.
        z_dim: int.
        class_weights: a positive int for each class, with a sum below 2^31.
    """
    latents = tf.random.stateless_normal([batch_size, z_dim], fold(seed, 0), alg="philox")
    ends = np.cumsum(class_weights)
    numbers = tf.random.stateless_uniform(
        [batch_size], fold(seed, 1), 0, int(ends[-1]), tf.int32, alg="philox"
    )
    labels = tf.searchsorted(tf.constant(ends, tf.int32), numbers, side="right")
    return latents, labels


def coins(seed, batch_size):
    """Bool `[batch_size]`, true half of the time; independent of the other draws of `seed`."""
    return (
        tf.random.stateless_uniform([batch_size], fold(seed, 2), 0, 2, tf.int32, alg="philox") > 0
    )


def truncated_latents(seed, count, z_dim, truncation):
    """Normal numbers `[count, z_dim]` given that each is within +-`truncation`.

    By the inverse of the distribution function, so one uniform number makes one latent. The
    truncation trick of Brock et al. 2019, https://arxiv.org/abs/1809.11096, section 3.1, which
    redraws numbers outside: the same distribution.
    """
    uniform = tf.random.stateless_uniform([count, z_dim], seed, -1.0, 1.0, alg="philox")
    bound = tf.math.erf(tf.constant(truncation / 2**0.5, tf.float32))
    return tf.clip_by_value(2**0.5 * tf.math.erfinv(uniform * bound), -truncation, truncation)
