"""Gradient accumulation: a batch in parts, one after the other."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_sagan.errors import UsageError


def check_parts(batch_size: int, replicas: int, accumulate: int) -> None:
    """Raises a `UsageError` unless replicas can divide their share of the batch into parts."""
    if batch_size % (replicas * accumulate):
        parts = f" times accumulate={accumulate}" if accumulate > 1 else ""
        raise UsageError(
            f"batch_size must be a multiple of the replicas{parts}. Received: {batch_size} images "
            f"for {replicas} replicas"
        )


def mean_over_parts(learn: Callable[..., Any], count: int, batch: Any) -> Any:
    """The mean of `learn(part, is_first)` over the `count` parts of a batch.

    Args:
        learn: function of a part and of whether it is the first, a bool; returns a structure of
            tensors, such as losses and gradients, all of which are means over the part's images.
        count: of parts, which must divide the batch.
        batch: a structure of tensors `[b, ...]`.

    Returns:
        The structure that `learn` returns. With one part, exactly what it returns.
    """
    if count == 1:
        return learn(batch, True)

    def part(i):
        return tf.nest.map_structure(lambda whole: part_of(whole, count, i), batch)

    def add_part(i, total):
        return i + 1, tf.nest.map_structure(tf.add, total, learn(part(i), False))

    # Each iteration needs the sum of those before, so only one part is in memory at a time.
    _, total = tf.while_loop(
        lambda i, _: i < count,
        add_part,
        (tf.constant(1), learn(part(0), True)),
        parallel_iterations=1,
    )
    return tf.nest.map_structure(lambda each: each / count, total)


def part_of(whole: tf.Tensor, count: int, i: tf.Tensor | int) -> tf.Tensor:
    """Part `i` of `count` equal parts of a tensor."""
    size = whole.shape[0] // count
    return tf.ensure_shape(whole[i * size : (i + 1) * size], [size, *whole.shape[1:]])
