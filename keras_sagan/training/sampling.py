"""Images of a generator, in batches."""

import numpy as np
import tensorflow as tf

from keras_sagan.training import noise

BATCH = 64


def make_sampler(generator):
    """Returns `sample(latents, labels)`, which gives uint8 `[n, H, W, C]` for any n.

    Batch normalization uses its moving statistics, so an image does not depend on the others.
    """

    @tf.function(reduce_retracing=True)
    def images_of(latents, labels):
        images = generator(latents, labels, training=False)
        return tf.saturate_cast(tf.round(images * 127.5 + 127.5), tf.uint8)

    def sample(latents, labels):
        pieces = [
            images_of(latents[i : i + BATCH], labels[i : i + BATCH])
            for i in range(0, len(latents), BATCH)
        ]
        return np.concatenate([piece.numpy() for piece in pieces])

    return sample


def latents_of(seed, count, z_dim, truncation=None):
    """Latents `[count, z_dim]` of a sampling seed; see `noise.truncated_latents`."""
    folded = noise.fold(tf.constant([0, seed]), noise.SAMPLES)
    if truncation is not None:
        return noise.truncated_latents(folded, count, z_dim, truncation)
    return tf.random.stateless_normal([count, z_dim], folded, alg="philox")
