"""Random numbers as a function of run seed, step and purpose, with no state to save.

A seed is int32 `[2]`: how often the run has rolled back (`training/rollback.py`), and the run's own
seed.

Not for compiled code: XLA draws different floats from the same seed (tensorflow/tensorflow#117644).
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# Purposes. These numbers determine every run, so never change them. D_STEP stays last, because
# discriminator update n of a step uses D_STEP + n.
SAMPLES, G_STEP, D_STEP = range(3)
# The parts of an augmented update's seed for real images and for fakes; 0 to 2 have other uses.
AUGMENTED = (3, 4)
# Precedes the number of a block of images. Negative, to differ from the step in other seeds.
EVALUATION = -1


def derive_seed(seed: tf.Tensor, *numbers: int | tf.Tensor) -> tf.Tensor:
    """A new seed `[2]` for each distinct sequence of `numbers`, ints or scalar tensors."""
    for number in numbers:
        number = tf.cast(number, tf.int32)
        seed = tf.random.fold_in(seed, number, alg="philox")  # pyright: ignore (says it takes ints)
    return seed


def latents_and_labels(
    seed: tf.Tensor, batch_size: int, z_dim: int, class_weights: Sequence[int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Standard normal latents `[batch_size, z_dim]`, and int32 labels `[batch_size]` by weight.

    Args:
        seed: int32 `[2]`.
        batch_size: number of images.
        z_dim: length of a latent.
        class_weights: a positive int for each class, with a sum below 2^31.
    """
    latents = tf.random.stateless_normal([batch_size, z_dim], derive_seed(seed, 0), alg="philox")
    ends = np.cumsum(class_weights)
    numbers = tf.random.stateless_uniform(
        [batch_size], derive_seed(seed, 1), 0, int(ends[-1]), tf.int32, alg="philox"
    )
    labels = tf.searchsorted(tf.constant(ends, tf.int32), numbers, side="right")
    return latents, labels


def coins(seed: tf.Tensor, batch_size: int) -> tf.Tensor:
    """Bool `[batch_size]`, true half of the time; independent of the other draws of `seed`."""
    seed = derive_seed(seed, 2)
    return tf.random.stateless_uniform([batch_size], seed, 0, 2, tf.int32, alg="philox") > 0


def augmentation(
    seed: tf.Tensor, batch_size: int, uniforms: int, noise_shape: Sequence[int] | None
) -> tuple[tf.Tensor, ...]:
    """The `draws` of `layers.Augment`: uniform numbers in [0, 1) `[batch_size, uniforms]`.

    With `noise_shape`, also standard normal numbers `[batch_size, *noise_shape]`.
    """
    uniform = tf.random.stateless_uniform(
        [batch_size, uniforms], derive_seed(seed, 0), alg="philox"
    )
    if noise_shape is None:
        return (uniform,)
    shape = [batch_size, *noise_shape]
    return uniform, tf.random.stateless_normal(shape, derive_seed(seed, 1), alg="philox")


def truncated_latents(seed: tf.Tensor, count: int, z_dim: int, truncation: float) -> tf.Tensor:
    """Normal numbers `[count, z_dim]`, conditioned on lying within +-`truncation`.

    The truncation trick of Brock et al. 2019, https://arxiv.org/abs/1809.11096, section 3.1,
    redraws numbers outside the bound. This inverts the distribution function instead, which gives
    the same distribution from one uniform number per entry.
    """
    uniform = tf.random.stateless_uniform([count, z_dim], seed, -1.0, 1.0, alg="philox")
    bound = tf.math.erf(tf.constant(truncation / 2**0.5, tf.float32))
    return tf.clip_by_value(2**0.5 * tf.math.erfinv(uniform * bound), -truncation, truncation)
