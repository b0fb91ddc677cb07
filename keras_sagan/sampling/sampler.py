"""From seeds to latents, and from latents to images in batches that memory holds."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_sagan.errors import RunError, reason_of
from keras_sagan.sampling import noise

# Most images of a batch, and most pixels: more gain little on CPUs, and attention over 64x64
# positions needs a gigabyte for this many.
IMAGES, PIXELS = 256, 2**20
# Of latents and labels to images.
Sampler = Callable[[np.ndarray, np.ndarray], np.ndarray]


def make_sampler(generator: keras.Model) -> Sampler:
    """Returns `sample(latents, labels)`, which gives uint8 `[n, H, W, C]` for any n of at least 1.

    Batches are as large as pays, and are halved where TensorFlow runs out of memory, as on GPUs.
    (On CPUs Linux may end the process instead.) Batch normalization uses its moving statistics, so
    images in one batch affect each other only by rounding. `sample` takes float32 `[n, z_dim]` and
    int32 `[n]`, and raises `RunError` if there is no memory for a single image.
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
        most = most or sampling_batch_size(*graph.output_shapes[1:3])
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
                    reason = reason_of(error)
                    raise RunError(f"out of memory for a single image: {reason}") from error
        return np.concatenate(pieces)

    return sample


def sampling_batch_size(height: int, width: int) -> int:
    """Images of this size that make one batch, if memory holds them."""
    return min(IMAGES, max(1, PIXELS // (height * width)))


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Images in [-1, 1] as levels from 0 to 255, rounded to the nearest."""
    return tf.saturate_cast(tf.round(images * 127.5 + 127.5), tf.uint8)


def latents_of(seed: int, count: int, z_dim: int, truncation: float | None = None) -> tf.Tensor:
    """Latents `[count, z_dim]` of a sampling seed; see `noise.truncated_latents`."""
    derived = noise.derive_seed(tf.constant([0, seed]), noise.SAMPLES)
    if truncation is not None:
        return noise.truncated_latents(derived, count, z_dim, truncation)
    return tf.random.stateless_normal([count, z_dim], derived, alg="philox")


def latents_of_seeds(
    seeds: Sequence[int], z_dim: int, truncation: float | None = None
) -> np.ndarray:
    """The first latent of each seed, `[n, z_dim]`."""
    return np.concatenate([latents_of(seed, 1, z_dim, truncation) for seed in seeds])


def latents_between(
    ends: Sequence[int], count: int, z_dim: int, truncation: float | None = None
) -> np.ndarray:
    """`count` latents from the first seed's to the second seed's, on the great circle."""
    start, end = latents_of_seeds(ends, z_dim, truncation)
    return great_circle(start, end, count)


def great_circle(start: np.ndarray, end: np.ndarray, count: int) -> np.ndarray:
    """`count` vectors from `start` to `end`, `[count, n]`: angle and length change evenly.

    White 2016, https://arxiv.org/abs/1609.04468, section 2.1.
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    angle = np.arccos(np.clip(np.dot(start / lengths[0], end / lengths[1]), -1, 1))
    t = np.linspace(0, 1, count)[:, None]
    if np.sin(angle) < 1e-6:
        return ((1 - t) * start + t * end).astype(np.float32)
    direction = (
        np.sin((1 - t) * angle) * start / lengths[0] + np.sin(t * angle) * end / lengths[1]
    ) / np.sin(angle)
    return (((1 - t) * lengths[0] + t * lengths[1]) * direction).astype(np.float32)


def latents_of_rows(seeds: tf.Tensor, z_dim: int) -> tf.Tensor:
    """A latent for each seed, `[n, z_dim]`; row i is `latents_of(seeds[i], 1, z_dim)`.

    Seeds are int64 `[n]`: all 2^64 values are distinct; `latents_of` takes those below 2^31.
    """
    # High half, low half: [0, seed] for a small seed.
    halves = tf.bitcast(seeds, tf.int32)[:, ::-1]

    def latent(seed):
        seed = noise.derive_seed(seed, noise.SAMPLES)
        return tf.random.stateless_normal([z_dim], seed, alg="philox")

    return tf.map_fn(latent, halves, fn_output_signature=tf.float32)
