"""Images of a generator, in batches."""

import numpy as np
import tensorflow as tf

from keras_sagan.errors import RunError, reason_of
from keras_sagan.sampling import noise

# Images drawn together at most, and their pixels: more gain little on CPUs, and attention at once
# of 64x64 positions needs a gigabyte for as many.
IMAGES, PIXELS = 256, 2**20


def make_sampler(generator):
    """Returns `sample(latents, labels)`, which gives uint8 `[n, H, W, C]` for any n of at least 1.

    In batches as large as pay, and half as large where TensorFlow finds no memory for them, as on
    GPUs. (On CPUs Linux may end the process instead.) Batch normalization uses its moving
    statistics, so an image depends on the others by rounding alone. `sample` takes float32
    `[n, z_dim]` and int32 `[n]` and raises `RunError` if there is no memory for one image.
    """
    most = None

    @tf.function
    def images_of(latents, labels):
        return to_uint8(generator(latents, labels, training=False))

    def sample(latents, labels):
        nonlocal most
        graph = images_of.get_concrete_function(
            tf.TensorSpec([None, latents.shape[1]]), tf.TensorSpec([None], tf.int32)
        )
        most = most or batch_of(*graph.output_shapes[1:3])
        pieces, start = [], 0
        while start < len(latents):
            count = min(most, len(latents) - start)
            some = slice(start, start + count)
            try:
                pieces.append(graph(tf.constant(latents[some]), tf.constant(labels[some])).numpy())
                start += count
            except tf.errors.ResourceExhaustedError as error:
                most = count // 2
                if not most:
                    raise RunError(f"expected memory for an image: {reason_of(error)}") from error
        return np.concatenate(pieces)

    return sample


def batch_of(height, width):
    """How many images of this size are drawn together, if memory holds them."""
    return min(IMAGES, max(1, PIXELS // (height * width)))


def to_uint8(images):
    """Images in [-1, 1] as levels from 0 to 255, to the nearest."""
    return tf.saturate_cast(tf.round(images * 127.5 + 127.5), tf.uint8)


def latents_of(seed, count, z_dim, truncation=None):
    """Latents `[count, z_dim]` of a sampling seed; see `noise.truncated_latents`."""
    folded = noise.fold(tf.constant([0, seed]), noise.SAMPLES)
    if truncation is not None:
        return noise.truncated_latents(folded, count, z_dim, truncation)
    return tf.random.stateless_normal([count, z_dim], folded, alg="philox")


def latents_of_seeds(seeds, z_dim, truncation=None):
    """A latent for each seed, `[n, z_dim]`: that which it has alone."""
    return np.concatenate([latents_of(seed, 1, z_dim, truncation) for seed in seeds])


def latents_between(ends, count, z_dim, truncation=None):
    """`count` latents from that of one seed to that of another, on the great circle."""
    return great_circle(*latents_of_seeds(ends, z_dim, truncation), count)


def great_circle(start, end, count):
    """`count` vectors from `start` to `end`, `[count, n]`: angle and length change evenly.

    White 2016, https://arxiv.org/abs/1609.04468, section 2.1.
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    cosine = np.clip(np.dot(start / lengths[0], end / lengths[1]), -1, 1)
    angle = np.arccos(cosine)
    t = np.linspace(0, 1, count)[:, None]
    if np.sin(angle) < 1e-6:
        return ((1 - t) * start + t * end).astype(np.float32)
    direction = (
        np.sin((1 - t) * angle) * start / lengths[0] + np.sin(t * angle) * end / lengths[1]
    ) / np.sin(angle)
    return (((1 - t) * lengths[0] + t * lengths[1]) * direction).astype(np.float32)


def latents_of_rows(seeds, z_dim):
    """A latent for each seed, `[n, z_dim]`: that of row i is `latents_of(seeds[i], 1, z_dim)`.

    Args:
        seeds: int64 `[n]`. All 2^64 are seeds of their own; those of `latents_of` end at 2^31 - 1.
        z_dim: int.
    """
    halves = tf.bitcast(seeds, tf.int32)[:, ::-1]  # High, low: [0, seed] for a small seed.

    def latent(seed):
        return tf.random.stateless_normal([z_dim], noise.fold(seed, noise.SAMPLES), alg="philox")

    return tf.map_fn(latent, halves, fn_output_signature=tf.float32)
