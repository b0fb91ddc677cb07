"""Batches as a pure function of seed and step, so a position in the data is one integer."""

import functools
from collections.abc import Callable, Iterator

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
        start: index of the first batch: the number of steps done times `d_steps`.

    Returns:
        Pairs of uint8 `[b, H, W, C]` and int32 `[b]`, distributed values if there are several
        replicas.
    """

    def shares_of(context):
        return shares(context, prepared, batch_size, seed, start)

    return iter(strategy.distribute_datasets_from_function(shares_of))


def shares(context, prepared: Prepared, batch_size: int, seed: int, start: int) -> tf.data.Dataset:
    """The dataset that one host reads: for each batch, the shares of its replicas in order.

    Replicas are numbered host by host. For arguments, see `make_iterator`.
    """
    replicas = context.num_replicas_in_sync
    local = replicas // context.num_input_pipelines
    first = local * context.input_pipeline_id
    size = batch_size // replicas

    def place_of(number):
        batch, replica = start + number // local, first + number % local
        return batch * batch_size + replica * size

    numbers = tf.data.Dataset.counter()
    arrays = prepared.images, prepared.labels
    return read_examples(numbers, arrays, size, seed, place_of).prefetch(2 * local)


def read_examples(
    numbers: tf.data.Dataset,
    arrays: tuple[np.ndarray, np.ndarray],
    size: int,
    seed: int,
    place_of: Callable[[int], int],
) -> tf.data.Dataset:
    """Reads, for each of `numbers`, `size` examples of the stream.

    Args:
        numbers: int64 scalars.
        arrays: images `[N, H, W, C]` and int32 labels `[N]`.
        size: examples in an element of the result.
        seed: of the permutations.
        place_of: function from a number to the position of its first example in the stream.

    Returns:
        Pairs of images `[size, H, W, C]` and labels `[size]`.
    """
    # Plain arrays, because indexing a `np.memmap` costs more.
    images, labels = map(np.asarray, arrays)
    types = images.dtype, labels.dtype

    def read(number):
        indices = example_indices(place_of(number), size, len(images), seed)
        return images[indices], labels[indices]

    def examples(number):
        parts = tf.numpy_function(read, [number], types, stateful=False)
        return tuple(map(tf.ensure_shape, parts, ([size, *images.shape[1:]], [size])))

    return numbers.map(examples, num_parallel_calls=2, deterministic=True)


def example_indices(start: int, length: int, count: int, seed: int) -> np.ndarray:
    """Indices of the examples at `start`, ..., `start + length - 1` of the endless stream.

    Each of `count` examples occurs once in each epoch, that is, in each `count` positions.
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
    network permutes all numbers of some width; a result of `count` or more is permuted again until
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
    """Permutes the numbers of `2 * half` bits, as uint64, which wraps around."""
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
