"""Multiple steps in one call of the runtime, on every replica of a strategy."""

from collections.abc import Callable

import tensorflow as tf

from keras_sagan.training import health
from keras_sagan.training.game import Game


def make_train_call(strategy: tf.distribute.Strategy, game: Game) -> Callable:
    """Returns `train_call(iterator, step, num_steps)`.

    `iterator` yields per-replica `(images, labels)`. `step` is an int64 `tf.Variable` of the
    strategy's scope; with the networks and optimizers it is all that a checkpoint needs.
    `num_steps` is a tensor, so every value shares one trace.

    The call returns a dict of scalars: `health.LOSSES`, as means over its steps, and
    `health.STATISTICS` of its last step. It also returns int64 `[2]`: the first step, counted from
    1, at which each loss was non-finite, or `health.NEVER`. All are over the global batch and the
    same on every replica.
    """

    @tf.function
    def train_call(iterator, step, num_steps):
        sums, bad_steps = tf.zeros([2]), tf.fill([2], health.NEVER)
        statistics = tf.zeros([len(health.STATISTICS)])
        for i in tf.range(num_steps):
            batches = [next(iterator) for _ in range(game.d_steps)]
            losses, diagnostics = strategy.run(game.play, args=(batches, step.read_value()))
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

    return train_call
