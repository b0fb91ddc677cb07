"""Batches as a pure function of seed and step, so that a place in the data is one integer."""

import numpy as np
import tensorflow as tf


def make_iterator(strategy, prepared, config, start):
    """Endless per-replica `(images, labels)`: uint8 `[b, H, W, C]` and int32 `[b]`.

    The examples of all steps form one stream, a fresh permutation of the set each epoch; batch i
    is its i-th piece of `config.batch_size`, of which each replica gets a share. So the global
    batch does not depend on the number of replicas.

    Args:
        strategy: `tf.distribute.Strategy`.
        prepared: `Prepared`.
        config: `Config`.
        start: int, number of the first batch: steps done times `config.d_steps`.
    """
    count, replicas = len(prepared.images), strategy.num_replicas_in_sync
    share = config.batch_size // replicas
    image_shape = prepared.images.shape[1:]

    def read(indices):
        return prepared.images[indices], prepared.labels[indices]

    def batch(number):
        """`number` counts shares, replica by replica and batch by batch."""
        place = number * share + tf.range(share, dtype=tf.int64)
        images, labels = tf.numpy_function(
            read, [shuffle(place, count, config.seed)], (tf.uint8, tf.int32), stateful=False
        )
        return tf.ensure_shape(images, [share, *image_shape]), tf.ensure_shape(labels, [share])

    def shares(context):
        del context  # One host: its pipeline feeds its replicas in turn.
        numbers = tf.data.Dataset.counter(start * replicas)
        return numbers.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2 * replicas)

    return iter(strategy.distribute_datasets_from_function(shares))


def shuffle(place, count, seed):
    """Examples at `place`, int64 `[n]`, of the endless stream: each once an epoch."""
    epoch = place // count
    seeds = tf.stack([tf.fill(tf.shape(epoch), np.int64(seed)), epoch], axis=1)
    limits = tf.fill(tf.shape(epoch), np.int64(count - 1))
    return tf.random.experimental.index_shuffle(place % count, seeds, limits)
