"""Batch normalization whose scale and offset depend on the class."""

from typing import Any

import keras
import tensorflow as tf

from keras_sagan.layers.tensors import (
    at_least_float32,
    check_channels_last,
    image_spec,
    one_hot_labels,
)


@keras.saving.register_keras_serializable("keras_sagan")
class ConditionalBatchNormalization(keras.layers.Layer):
    """Batch normalization with one row of scale and offset for each class.

    Scales start at 1 and offsets at 0: scales around zero broke hundreds of other people's runs. As
    in the released code (ops.py, `ConditionalBatchNorm`), the variance is biased, epsilon is 1e-5,
    moving statistics decay by 0.999, tables are not spectrally normalized, and each replica has its
    own statistics unless `synchronized`. Statistics and tables stay float32 under mixed precision.
    Source: Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629, section 2.2.

    Args:
        num_classes: int. 0 for a single scale and offset, without labels.
        momentum: float in [0, 1], decay of the moving statistics per training call.
        epsilon: float, added to the variance.
        synchronized: bool, whether batch statistics are computed over all replicas. With several
            replicas they communicate, so XLA cannot compile the call.
        fast: bool, whether a training call is a single TensorFlow operation where there are neither
            classes nor other replicas to communicate with; equal up to rounding.

    Call arguments:
        labels: `[batch]`, int, in [0, num_classes); None when `num_classes` is 0.
        training: bool, whether to normalize by the batch and update the moving statistics.

    Input shape: `[batch, height, width, channels]`.
    Output shape: as the input.

    Raises:
        ValueError: if `num_classes` is negative, `momentum` is outside [0, 1], the number of
            channels is unknown, Keras has channels first, or labels are wrong, see
            `one_hot_labels`.
    """

    def __init__(
        self,
        num_classes: int = 0,
        momentum: float = 0.999,
        epsilon: float = 1e-5,
        synchronized: bool = False,
        fast: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels_last(self)
        if num_classes < 0:
            raise ValueError(f"`num_classes` must not be negative. Received: {num_classes=}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be in [0, 1]. Received: {momentum=}")
        self.num_classes, self.momentum, self.epsilon = num_classes, momentum, epsilon
        self.synchronized, self.fast = synchronized, fast

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.input_spec = image_spec(self, input_shape)
        self.exact_dtype = at_least_float32(self.compute_dtype)
        channels = input_shape[-1]
        table = (self.num_classes, channels) if self.num_classes else (channels,)
        self.scale = self.add_table("scale", table, "ones")
        self.offset = self.add_table("offset", table, "zeros")
        self.moving_mean = self.add_table("moving_mean", (channels,), "zeros", False)
        self.moving_variance = self.add_table("moving_variance", (channels,), "ones", False)

    def add_table(self, name, shape, initializer, trainable=True):
        """A weight that mixed precision does not round."""
        settings = {"name": name, "dtype": self.exact_dtype, "autocast": False}
        return self.add_weight(shape, initializer, trainable=trainable, **settings)

    def call(self, inputs, labels=None, training: bool = False) -> tf.Tensor:
        scale, offset = self.scale_and_offset(labels)
        if not training:
            mean = tf.convert_to_tensor(self.moving_mean)
            variance = tf.convert_to_tensor(self.moving_variance)
            return self.normalize(inputs, mean, variance, scale, offset)
        # The one TensorFlow operation does not exist in float64.
        possible = self.fast and not self.num_classes and self.exact_dtype == "float32"
        if possible and not self.communicates():
            outputs, mean, variance = self.normalize_by_batch(inputs, scale, offset)
        else:
            mean, variance = self.batch_statistics(tf.cast(inputs, self.exact_dtype))
            outputs = self.normalize(inputs, mean, variance, scale, offset)
        self.update_moving(self.moving_mean, mean)
        self.update_moving(self.moving_variance, variance)
        return outputs

    def normalize(self, inputs, mean, variance, scale, offset) -> tf.Tensor:
        """Normalizes by mean and variance `[C]`; scale and offset are `[C]` or `[B, 1, 1, C]`."""
        factor = scale * tf.math.rsqrt(variance + self.epsilon)
        images = tf.cast(inputs, self.exact_dtype)
        return tf.cast(images * factor + (offset - mean * factor), inputs.dtype)

    def normalize_by_batch(self, inputs, scale, offset):
        """Outputs, mean and biased variance of the batch; all but the outputs are `[C]`."""
        given = {"x": inputs, "scale": scale, "offset": offset, "mean": [], "variance": []}
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            **given, epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs, tf.int64) // inputs.shape[-1], tf.float32)
        # The operation's variance is unbiased.
        return outputs, mean, variance * (tf.maximum(count - 1, 1) / count)

    def batch_statistics(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and biased variance `[C]`, over all replicas if `synchronized`."""
        mean = self.mean_over_replicas(tf.reduce_mean(images, axis=(0, 1, 2)))
        variance = tf.reduce_mean(tf.math.squared_difference(images, mean), axis=(0, 1, 2))
        return mean, self.mean_over_replicas(variance)

    def communicates(self) -> bool:
        """Whether a training call here exchanges statistics with other replicas."""
        replicas = tf.distribute.get_replica_context()
        return self.synchronized and replicas is not None and replicas.num_replicas_in_sync > 1

    def mean_over_replicas(self, statistic: tf.Tensor) -> tf.Tensor:
        """Averages over replicas, which hold equal shares of the batch."""
        if not self.communicates():
            return statistic
        replicas = tf.distribute.get_replica_context()
        return replicas.all_reduce(tf.distribute.ReduceOp.MEAN, statistic)

    def update_moving(self, moving: keras.Variable, statistic: tf.Tensor) -> None:
        """Moves a moving statistic toward the batch's."""
        moving.assign(moving * self.momentum + tf.stop_gradient(statistic) * (1 - self.momentum))

    def scale_and_offset(self, labels: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Scale and offset of each image, `[B, 1, 1, C]`, or of all, `[C]`, without classes."""
        scale, offset = tf.convert_to_tensor(self.scale), tf.convert_to_tensor(self.offset)
        if not self.num_classes:
            return scale, offset
        one_hot = one_hot_labels(labels, self.num_classes, self.exact_dtype)
        rows = [tf.matmul(one_hot, table)[:, None, None] for table in (scale, offset)]
        return rows[0], rows[1]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        keys = ("num_classes", "momentum", "epsilon", "synchronized", "fast")
        return super().get_config() | {key: getattr(self, key) for key in keys}
