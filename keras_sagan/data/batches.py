"""Batches as a pure function of seed and step, so that a place in the data is one integer."""

import functools

import numpy as np
import tensorflow as tf

# Of the block cipher that shuffles: with fewer, the orders of two epochs resemble each other.
ROUNDS = 8


def make_iterator(strategy, prepared, config, start):
    """Endless per-replica `(images, labels)`: uint8 `[b, H, W, C]` and int32 `[b]`.

    The examples of all steps form one stream, a fresh permutation of the set each epoch; batch i
    is its i-th piece of `config.batch_size`, of which each replica gets a share. So the global
    batch does not depend on the number of replicas or hosts.

    Args:
        strategy: `tf.distribute.Strategy`.
        prepared: `Prepared`.
        config: `Config`.
        start: int, number of the first batch: steps done times `config.d_steps`.
    """
    return iter(
        strategy.distribute_datasets_from_function(
            lambda context: shares(context, prepared, config, start)
        )
    )


def shares(context, prepared, config, start):
    """What one host reads, as a `tf.data.Dataset`: its replicas' shares in turn, batch by batch.

    Args:
        context: `tf.distribute.InputContext` of the host. Replicas are numbered host by host.
        prepared: `Prepared`.
        config: `Config`.
        start: int, number of the first batch.
    """
    replicas = context.num_replicas_in_sync
    local = replicas // context.num_input_pipelines
    first = local * context.input_pipeline_id
    size = config.batch_size // replicas
    # Plain arrays: indexing a `np.memmap` costs more.
    images, labels = np.asarray(prepared.images), np.asarray(prepared.labels)

    def read(turn):
        batch, replica = start + turn // local, first + turn % local
        place = batch * config.batch_size + replica * size
        indices = examples(place, size, len(images), config.seed)
        return images[indices], labels[indices]

    def share(turn):
        parts = tf.numpy_function(read, [turn], (tf.uint8, tf.int32), stateful=False)
        shapes = [size, *images.shape[1:]], [size]
        return tuple(map(tf.ensure_shape, parts, shapes))

    turns = tf.data.Dataset.counter()
    return turns.map(share, num_parallel_calls=2, deterministic=True).prefetch(2 * local)


def examples(start, length, count, seed):
    """Which of `count` examples stand at `start`, ..., `start + length - 1` of the endless stream.

    Every example stands once in each epoch, that is, each piece of `count` places from 0 on.
    """
    places = np.arange(start, start + length)
    epochs = places // count
    indices = np.empty(length, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = shuffled(places[here] % count, count, round_keys(seed, int(epoch)))
    return indices


@functools.lru_cache(maxsize=4)
def round_keys(seed, epoch):
    return np.random.Philox(key=[seed, epoch]).random_raw(ROUNDS)


def shuffled(places, count, keys):
    """Where a permutation of `count` numbers, chosen by `keys`, takes `places`.

    Without making the permutation, so that neither memory nor time depends on `count`: a Feistel
    network permutes the numbers of some bits, and one that leads outside is sent on until it comes
    back (cycle walking; Black and Rogaway 2002, https://doi.org/10.1007/3-540-45760-7_9).
    """
    half = np.uint64(max((count - 1).bit_length() + 1, 2) // 2)
    numbers = places.astype(np.uint64)
    outside = np.full(len(numbers), True)
    while outside.any():
        numbers[outside] = feistel(numbers[outside], half, keys)
        outside = numbers >= count
    return numbers.astype(np.int64)


def feistel(numbers, half, keys):
    """A permutation of the numbers of `2 * half` bits; uint64, which wraps around."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for key in keys:
        left, right = right, left ^ (mixed(right + key) & mask)
    return left << half | right


def mixed(numbers):
    """Stirs bits: a step of SplitMix64 (Steele et al. 2014, https://doi.org/10.1145/2660193.2660195)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
