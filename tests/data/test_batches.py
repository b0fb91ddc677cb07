"""The order of batches: every example once an epoch, the same for any number of shards."""

import types

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_sagan.data.batches import example_indices, make_iterator, shares

# 23 images of which each tells its number.
PREPARED = types.SimpleNamespace(
    images=np.broadcast_to(np.arange(23, dtype=np.uint8)[:, None, None, None], (23, 4, 4, 1)),
    labels=np.arange(23, dtype=np.int32) * 2,
)
BATCH_SIZE, SEED = 8, 5


@pytest.mark.parametrize("count", [1, 2, 3, 10, 23, 64, 65, 1000])
def test_each_example_stands_once_in_each_epoch(count):
    """Read in batches of 7, which end in the middle of an epoch, or go on over several."""
    batches = [example_indices(start, 7, count, seed=0) for start in range(0, 7 * count, 7)]
    for epoch in np.concatenate(batches).reshape(7, count):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(count))


def test_order_depends_on_place_and_seed_alone():
    stream = example_indices(0, 60, 23, seed=0)
    for start, length in ((0, 7), (7, 7), (20, 40)):
        np.testing.assert_array_equal(
            example_indices(start, length, 23, seed=0), stream[start : start + length]
        )
    assert not np.array_equal(example_indices(0, 60, 23, seed=1), stream)
    # Nor is another seed the same stream an epoch later.
    assert not np.array_equal(example_indices(0, 23, 23, seed=1), stream[23:46])


@pytest.mark.slow
def test_any_example_may_stand_anywhere_and_beside_any_other():
    orders = example_indices(0, 7 * 4000, 7, seed=3).reshape(4000, 7)
    for place in range(7):
        assert scipy.stats.chisquare(np.bincount(orders[:, place])).pvalue > 1e-4
    pairs = orders[:, 0] * 7 + orders[:, 1]
    counts = np.bincount(pairs, minlength=49).reshape(7, 7)[~np.eye(7, dtype=bool)]
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


def test_epochs_are_unrelated_to_each_other_and_to_the_set():
    orders = example_indices(0, 12 * 20_000, 20_000, seed=3).reshape(12, -1)
    related = np.corrcoef([np.arange(20_000), *orders])
    assert np.abs(related - np.eye(13)).max() < 5 / 20_000**0.5
    beside = np.corrcoef(orders[0][1:], orders[0][:-1])[0, 1]
    assert abs(beside) < 5 / 20_000**0.5


def global_batches(hosts, replicas, count, start=0):
    """The shares of all hosts and replicas, joined batch by batch."""
    parts = []
    for host in range(hosts):
        context = tf.distribute.InputContext(hosts, host, replicas)
        local = replicas // hosts
        dataset = shares(context, PREPARED, BATCH_SIZE, SEED, start)
        read = dataset.take(count * local).as_numpy_iterator()
        images, labels = zip(*read, strict=True)
        shape = (count, local * BATCH_SIZE // replicas)
        parts.append((np.reshape(images, (*shape, 4, 4, 1)), np.reshape(labels, shape)))
    return [np.concatenate(part, axis=1) for part in zip(*parts, strict=True)]


@pytest.mark.parametrize(("hosts", "replicas"), [(1, 1), (1, 2), (2, 2), (1, 4), (2, 4), (4, 4)])
def test_global_batch_does_not_depend_on_the_number_of_shards(hosts, replicas):
    images, labels = global_batches(hosts, replicas, 9)
    indices = example_indices(0, 72, 23, SEED).reshape(9, 8)
    np.testing.assert_array_equal(images[..., 0, 0, 0], indices)
    np.testing.assert_array_equal(images, np.broadcast_to(images[:, :, :1, :1], images.shape))
    np.testing.assert_array_equal(labels, 2 * indices)


@pytest.mark.parametrize("step", [1, 7])
def test_step_alone_is_the_step_of_a_run(step):
    alone = global_batches(2, 4, 1, start=step)
    run = global_batches(2, 4, 8)
    for part, whole in zip(alone, run, strict=True):
        np.testing.assert_array_equal(part[0], whole[step])


def test_replicas_of_a_strategy_get_their_shares(two_replicas):
    iterator = make_iterator(two_replicas, PREPARED, BATCH_SIZE, SEED, start=2)
    for batch in (2, 3):
        images, labels = next(iterator)
        local = [two_replicas.experimental_local_results(part) for part in (images, labels)]
        assert [part.dtype for part in local[0]] == [tf.uint8, tf.uint8]
        assert [part.shape for part in local[0]] == [(4, 4, 4, 1), (4, 4, 4, 1)]
        indices = example_indices(8 * batch, 8, 23, SEED)
        np.testing.assert_array_equal(np.concatenate(local[0])[:, 0, 0, 0], indices)
        np.testing.assert_array_equal(np.concatenate(local[1]), 2 * indices)
