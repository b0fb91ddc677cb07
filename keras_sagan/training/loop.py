"""Multiple steps in one call of the runtime, on every replica of a strategy."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_sagan.training import health
from keras_sagan.training.game import Game


def make_train_call(strategy: tf.distribute.Strategy, game: Game) -> Callable:
    """Returns `train_call(iterator, step, num_steps)`, which trains and returns as `play_steps`.

    `iterator` yields per-replica `(images, labels)`. `num_steps` is a tensor, so every value shares
    one trace.
    """

    @tf.function
    def train_call(iterator, step, num_steps):
        def next_batches():
            return [next(iterator) for _ in range(game.d_steps)]

        return play_steps(strategy, game, next_batches, step, num_steps)

    return train_call


def play_steps(
    strategy: tf.distribute.Strategy,
    game: Game,
    next_batches: Callable[[], Any],
    step: tf.Variable,
    num_steps: tf.Tensor,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Plays `num_steps` steps on every replica.

    In a graph, it is a loop even for one step: TensorFlow rounds differently outside of loops.

    Args:
        strategy: owns the replicas.
        game: the game.
        next_batches: returns the `d_steps` pairs of per-replica images and labels of a step.
        step: int64, of the strategy's scope; with the networks and optimizers it is all that a
            checkpoint needs.
        num_steps: int32 scalar.

    Returns:
        A dict of scalars: `health.LOSSES`, as means over the steps, and `health.STATISTICS` of the
        last step. Also int64 `[2]`: the first step, counted from 1, at which each loss was
        non-finite, or `health.NEVER`. All are over the global batch and the same on every replica.
    """
    # A game has no branch or loop on tensors, and AutoGraph takes seconds to convert it.
    play = tf.autograph.experimental.do_not_convert(game.play)
    sums, bad_steps = tf.zeros([2]), tf.fill([2], health.NEVER)
    statistics = tf.zeros([len(health.STATISTICS)])
    for i in tf.range(num_steps):
        losses, diagnostics = strategy.run(play, args=(next_batches(), step.read_value()))
        losses = tf.stack([strategy.reduce("MEAN", loss, axis=None) for loss in losses])
        step.assign_add(1)
        sums += losses
        finite = tf.math.is_finite(losses)
        bad_steps = tf.minimum(bad_steps, tf.where(finite, health.NEVER, step.read_value()))
        if i == num_steps - 1:  # Once per call, since it sums all gradients over replicas.
            statistics = health.step_statistics(strategy, diagnostics)
    means = sums / tf.cast(num_steps, tf.float32)
    numbers = tf.unstack(tf.concat([means, statistics], axis=0))
    names = (*health.LOSSES, *health.STATISTICS)
    return dict(zip(names, numbers, strict=True)), bad_steps
