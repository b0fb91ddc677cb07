"""Batch normalization whose scale and offset depend on the class."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_sagan")
class ConditionalBatchNormalization(keras.layers.Layer):
    """Batch normalization with one row of scale and offset for each class.

    Scales start at 1 and offsets at 0: a scale around zero broke hundreds of runs of others. As
    in the released code (ops.py, `ConditionalBatchNorm`): biased variance, epsilon 1e-5, moving
    statistics with decay 0.999, tables not spectrally normalized, statistics of each replica its
    own unless `synchronized`. Statistics and tables are float32 under every dtype policy.
    Source: Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629, section 2.2.

    Args:
        num_classes: int. 0 for a single scale and offset, without labels.
        momentum: float in [0, 1], decay of the moving statistics a training call.
        epsilon: float, added to the variance.
        synchronized: bool, whether batch statistics are those of all replicas together. They
            communicate, so the call cannot be compiled by XLA when there are several.
        fast: bool, whether a training call is one operation of TensorFlow, where there are no
            classes and nothing to communicate; equal but for rounding.

    Call arguments:
        labels: `[batch]`, int, in [0, num_classes); None when `num_classes` is 0.
        training: bool, whether to normalize by the batch and to move the moving statistics.

    Input shape: `[batch, height, width, channels]`.
    Output shape: as the input.

    Raises:
        ValueError: if `num_classes` is negative, `momentum` is outside [0, 1], or labels are
            missing in a conditional layer.
    """

    def __init__(
        self,
        num_classes=0,
        momentum=0.999,
        epsilon=1e-5,
        synchronized=False,
        fast=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_classes < 0:
            raise ValueError(f"`num_classes` must not be negative. Received: {num_classes=}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be in [0, 1]. Received: {momentum=}")
        self.num_classes = num_classes
        self.momentum = momentum
        self.epsilon = epsilon
        self.synchronized = synchronized
        self.fast = fast

    def build(self, input_shape):
        channels = input_shape[-1]
        table = (self.num_classes, channels) if self.num_classes else (channels,)
        self.scale = self.add_float32("scale", table, "ones")
        self.offset = self.add_float32("offset", table, "zeros")
        self.moving_mean = self.add_float32("moving_mean", (channels,), "zeros", trainable=False)
        self.moving_variance = self.add_float32(
            "moving_variance", (channels,), "ones", trainable=False
        )

    def add_float32(self, name, shape, initializer, trainable=True):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=trainable,
            dtype="float32",
            autocast=False,
        )

    def call(self, inputs, labels=None, training=False):
        scale, offset = self.scale_and_offset(labels)
        if not training:
            moving = map(tf.convert_to_tensor, (self.moving_mean, self.moving_variance))
            return self.scaled(inputs, *moving, scale, offset)
        if self.fast and not self.num_classes and not self.communicates():
            outputs, mean, variance = self.at_once(inputs, scale, offset)
        else:
            mean, variance = self.batch_statistics(tf.cast(inputs, tf.float32))
            outputs = self.scaled(inputs, mean, variance, scale, offset)
        self.move(self.moving_mean, mean)
        self.move(self.moving_variance, variance)
        return outputs

    def scaled(self, inputs, mean, variance, scale, offset):
        factor = scale * tf.math.rsqrt(variance + self.epsilon)  # [B, 1, 1, C] or [C]
        images = tf.cast(inputs, tf.float32)
        return tf.cast(images * factor + (offset - mean * factor), inputs.dtype)

    def at_once(self, inputs, scale, offset):
        """Normalizes by the batch, for `[C]` of each; returns its mean and biased variance, too."""
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=scale,
            offset=offset,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.size(inputs, tf.int64) // inputs.shape[-1], tf.float32)
        # The operation's variance is unbiased.
        return outputs, mean, variance * (tf.maximum(count - 1, 1) / count)

    def batch_statistics(self, images):
        mean = self.over_replicas(tf.reduce_mean(images, axis=(0, 1, 2)))
        variance = tf.reduce_mean(tf.math.squared_difference(images, mean), axis=(0, 1, 2))
        return mean, self.over_replicas(variance)

    def communicates(self):
        replicas = tf.distribute.get_replica_context()
        return self.synchronized and replicas is not None and replicas.num_replicas_in_sync > 1

    def over_replicas(self, statistic):
        """The mean over replicas, which hold equal shares of the batch."""
        if not self.communicates():
            return statistic
        replicas = tf.distribute.get_replica_context()
        return replicas.all_reduce(tf.distribute.ReduceOp.MEAN, statistic)

    def move(self, moving, statistic):
        moving.assign(moving * self.momentum + tf.stop_gradient(statistic) * (1 - self.momentum))

    def scale_and_offset(self, labels):
        scale, offset = tf.convert_to_tensor(self.scale), tf.convert_to_tensor(self.offset)
        if not self.num_classes:
            return scale, offset
        if labels is None:
            raise ValueError(
                f"A layer with classes needs `labels`. Received: labels=None, {self.num_classes=}"
            )
        # Not a gather: its sparse gradient cannot be compiled over replicas.
        one_hot = tf.one_hot(labels, self.num_classes)
        rows = [tf.matmul(one_hot, table)[:, None, None] for table in (scale, offset)]
        return rows[0], rows[1]

    def get_config(self):
        keys = ("num_classes", "momentum", "epsilon", "synchronized", "fast")
        return super().get_config() | {key: getattr(self, key) for key in keys}
