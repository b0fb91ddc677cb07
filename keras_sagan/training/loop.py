"""Many steps in one call of the runtime, on every replica of a strategy."""

import tensorflow as tf


def make_train(strategy, game):
    """Returns `train(iterator, step, num_steps)`, which gives the mean losses of its steps.

    `iterator` yields per-replica `(images, labels)`. `step` is an int64 `tf.Variable` of the
    strategy's scope; with the networks and optimizers it is all that a checkpoint needs.
    `num_steps` is a tensor, so every value shares one trace.
    """

    @tf.function
    def train(iterator, step, num_steps):
        sums = tf.zeros([2])
        for _ in tf.range(num_steps):
            batches = [next(iterator) for _ in range(game.config.d_steps)]
            losses = strategy.run(game.play, args=(batches, step.read_value()))
            sums += tf.stack([strategy.reduce("MEAN", loss, axis=None) for loss in losses])
            step.assign_add(1)
        means = sums / tf.cast(num_steps, tf.float32)
        return {"d_loss": means[0], "g_loss": means[1]}

    return train
