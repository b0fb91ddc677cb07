"""Batches as a pure function of seed and step, so a position in the data is one integer."""

import functools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from keras_sagan.data.prepared import Prepared

# Rounds of the block cipher that shuffles; with fewer, the orders of two epochs are related.
ROUNDS = 8


def make_iterator(
    strategy: tf.distribute.Strategy, prepared: Prepared, batch_size: int, seed: int, start: int
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Iterates endlessly over per-replica `(images, labels)`.

    The examples of all steps form one stream, with a new permutation of the set in each epoch.
    Batch i is the stream's i-th piece of `batch_size` examples, and each replica gets a share of
    it. So the global batch does not depend on the number of replicas or hosts.

    Args:
        strategy: owns the replicas.
        prepared: where to read.
        batch_size: images in a batch over all replicas.
        seed: of the permutations.
        start: number of the first batch: steps done times `d_steps`.

    Returns:
        Pairs of uint8 `[b, H, W, C]` and int32 `[b]`, distributed values if there are several
        replicas.
    """

    def shares_of(context):
        return shares(context, prepared, batch_size, seed, start)

    return iter(strategy.distribute_datasets_from_function(shares_of))


def shares(context, prepared: Prepared, batch_size: int, seed: int, start: int) -> tf.data.Dataset:
    """The dataset that one host reads: batch by batch, the shares of its replicas in turn.

    Replicas are numbered host by host. Arguments as of `make_iterator`.
    """
    replicas = context.num_replicas_in_sync
    local = replicas // context.num_input_pipelines
    first = local * context.input_pipeline_id
    size = batch_size // replicas
    # Plain arrays, because indexing a `np.memmap` costs more.
    images, labels = np.asarray(prepared.images), np.asarray(prepared.labels)

    def read_share(number):
        batch, replica = start + number // local, first + number % local
        place = batch * batch_size + replica * size
        indices = example_indices(place, size, len(images), seed)
        return images[indices], labels[indices]

    def share(number):
        parts = tf.numpy_function(read_share, [number], (tf.uint8, tf.int32), stateful=False)
        shapes = [size, *images.shape[1:]], [size]
        return tuple(map(tf.ensure_shape, parts, shapes))

    numbers = tf.data.Dataset.counter()
    return numbers.map(share, num_parallel_calls=2, deterministic=True).prefetch(2 * local)


def example_indices(start: int, length: int, count: int, seed: int) -> np.ndarray:
    """Which of `count` examples are at `start`, ..., `start + length - 1` of the endless stream.

    Every example occurs once in each epoch, that is, in each piece of `count` places.
    """
    places = np.arange(start, start + length)
    epochs = places // count
    indices = np.empty(length, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = permute(places[here] % count, count, round_keys(seed, int(epoch)))
    return indices


@functools.lru_cache(maxsize=4)
def round_keys(seed: int, epoch: int) -> np.ndarray:
    """The cipher's keys in one epoch, uint64 `[ROUNDS]`."""
    return np.random.Philox(key=[seed, epoch]).random_raw(ROUNDS)


def permute(places: np.ndarray, count: int, keys: np.ndarray) -> np.ndarray:
    """Where the permutation of `count` numbers that `keys` select takes `places`.

    The permutation is never stored, so neither memory nor time depends on `count`. A Feistel
    network permutes all numbers of some bits; a result of `count` or more is permuted again until
    it is smaller (cycle walking; Black and Rogaway 2002, https://doi.org/10.1007/3-540-45760-7_9).
    """
    half = np.uint64(max((count - 1).bit_length() + 1, 2) // 2)
    numbers = places.astype(np.uint64)
    outside = np.full(len(numbers), True)
    while outside.any():
        numbers[outside] = feistel(numbers[outside], half, keys)
        outside = numbers >= count
    return numbers.astype(np.int64)


def feistel(numbers: np.ndarray, half: np.uint64, keys: np.ndarray) -> np.ndarray:
    """Permutes the numbers of `2 * half` bits; uint64, which wraps around."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for key in keys:
        left, right = right, left ^ (mix_bits(right + key) & mask)
    return left << half | right


def mix_bits(numbers: np.ndarray) -> np.ndarray:
    """A step of SplitMix64 (Steele et al. 2014, https://doi.org/10.1145/2660193.2660195)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
