"""Many steps in one call of the runtime, on every replica of a strategy."""

import tensorflow as tf

from keras_sagan.training import health as vitals


def make_train(strategy, game):
    """Returns `train(iterator, step, num_steps)`.

    `iterator` yields per-replica `(images, labels)`. `step` is an int64 `tf.Variable` of the
    strategy's scope; with the networks and optimizers it is all that a checkpoint needs.
    `num_steps` is a tensor, so every value shares one trace.

    It gives a dict of scalars, `vitals.LOSSES`, means of its steps, and `vitals.SIGNS`, of its last
    step; and int64 `[2]`, the first step at which each of the losses was not finite, counted from
    1, or `vitals.NEVER`. All are over the global batch, the same on every replica.
    """

    @tf.function
    def train(iterator, step, num_steps):
        sums, bad = tf.zeros([2]), tf.fill([2], vitals.NEVER)
        signs = tf.zeros([len(vitals.SIGNS)])
        for i in tf.range(num_steps):
            batches = [next(iterator) for _ in range(game.config.d_steps)]
            losses, evidence = strategy.run(game.play, args=(batches, step.read_value()))
            losses = tf.stack([strategy.reduce("MEAN", loss, axis=None) for loss in losses])
            step.assign_add(1)
            sums += losses
            finite = tf.math.is_finite(losses)
            bad = tf.minimum(bad, tf.where(finite, vitals.NEVER, step.read_value()))
            if i == num_steps - 1:  # Once a call, since it adds all gradients up over replicas.
                signs = vitals.signs(strategy, evidence)
        means = sums / tf.cast(num_steps, tf.float32)
        numbers = tf.unstack(tf.concat([means, signs], axis=0))
        return dict(zip((*vitals.LOSSES, *vitals.SIGNS), numbers, strict=True)), bad

    return train
