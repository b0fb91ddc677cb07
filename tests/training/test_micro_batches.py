"""Gradient accumulation: the mean over parts, one after the other, and what it is equal to."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from test_game import CONFIG, Match, without_batch_statistics

from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.training.micro_batches import mean_over_parts

WITHOUT_NORMS = dataclasses.replace(CONFIG, g_spectral_norm=False, d_spectral_norm=False)


@pytest.mark.parametrize("in_graph", [False, True])
def test_mean_is_over_all_parts_and_only_one_is_the_first(in_graph):
    whole = tf.reshape(tf.range(24.0), [12, 2])
    firsts = []

    def learn(part, is_first):
        firsts.append(is_first)
        assert part["images"].shape == (3, 2)
        return tf.reduce_mean(part["images"], axis=0), [tf.constant(1.0 if is_first else 5.0)]

    def mean():
        return mean_over_parts(learn, 4, {"images": whole})

    (found, [first]) = (tf.function(mean) if in_graph else mean)()
    np.testing.assert_allclose(found, np.mean(whole, axis=0))
    assert float(first) == (1 + 3 * 5) / 4
    assert firsts.count(True) == 1


def test_one_part_is_the_batch_itself():
    batch, result = object(), object()
    assert mean_over_parts(lambda part, is_first: (part, is_first, result), 1, batch) == (
        batch,
        True,
        result,
    )


@pytest.mark.slow_except("False-1")
@pytest.mark.parametrize(("jit_compile", "d_steps"), [(False, 1), (True, 2)])
def test_parts_are_equal_to_the_whole_batch(jit_compile, d_steps):
    """Without batch statistics; u is another matter, see below."""
    config = dataclasses.replace(WITHOUT_NORMS, d_steps=d_steps)
    whole = without_batch_statistics(config)
    parts = without_batch_statistics(
        dataclasses.replace(config, accumulate=4), jit_compile=jit_compile
    )
    before = whole.values()
    numbers = whole.play(2), parts.play(2)
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-4, abs=1e-5)
    after = whole.values(), parts.values()
    moved = [name for name in before if not np.array_equal(before[name], after[0][name])]
    assert len(moved) > 10
    for name in before:
        np.testing.assert_allclose(after[1][name], after[0][name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_singular_vectors_advance_once_a_step_and_statistics_in_every_part():
    whole, parts = (Match(dataclasses.replace(CONFIG, accumulate=n)) for n in (1, 4))
    for match in (whole, parts):
        for optimizer in (match.game.d_optimizer, match.game.g_optimizer):
            optimizer.learning_rate.assign(0.0)
        match.play()
    one, four = whole.values(), parts.values()
    vectors = [name for name in one if name.endswith("vector_u")]
    assert vectors
    for name in vectors:
        np.testing.assert_array_equal(four[name], one[name])
    means = [name for name in one if name.endswith("moving_mean") and name.startswith("0:")]
    assert means
    for name in means:
        # Each update of a moving mean from zero leaves 0.999 of the rest, and there are four.
        assert np.abs(four[name]).max() > 2 * np.abs(one[name]).max()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accumulate": 3}, "batch_size must be a multiple of accumulate"),
        ({"accumulate": 2, "reuse_fakes": True}, "reuse_fakes .* needs accumulate=1"),
        ({"accumulate": 2, "sync_batch_norm": True}, "sync_batch_norm needs accumulate=1"),
        ({"r1": 1.0, "sync_batch_norm": True}, "with r1, r1_every=1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
    ],
)
def test_impossible_parts_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        Config(**{"batch_size": 8} | changes)
