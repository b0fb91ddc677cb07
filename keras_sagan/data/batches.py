"""Batches as a pure function of seed and step, so that a place in the data is one integer."""

import functools

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
    replicas = strategy.num_replicas_in_sync
    share = config.batch_size // replicas
    image_shape = prepared.images.shape[1:]

    def read(number):
        indices = examples(number * share, share, len(prepared.images), config.seed)
        return prepared.images[indices], prepared.labels[indices]

    def batch(number):
        """`number` counts shares, replica by replica and batch by batch."""
        images, labels = tf.numpy_function(read, [number], (tf.uint8, tf.int32), stateful=False)
        return tf.ensure_shape(images, [share, *image_shape]), tf.ensure_shape(labels, [share])

    def shares(context):
        del context  # One host: its pipeline feeds its replicas in turn.
        numbers = tf.data.Dataset.counter(start * replicas)
        return numbers.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2 * replicas)

    return iter(strategy.distribute_datasets_from_function(shares))


def examples(start, length, count, seed):
    """Which of `count` examples stand at `start`, ..., `start + length - 1` of the endless stream.

    Every example stands once in each epoch, that is, each piece of `count` places from 0 on.
    """
    places = np.arange(start, start + length)
    epochs = places // count
    indices = np.empty(length, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = permutation(int(epoch), count, seed)[places[here] % count]
    return indices


@functools.lru_cache(maxsize=4)
def permutation(epoch, count, seed):
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)
