"""Residual blocks and the output of the discriminator, as in the released code."""

from typing import Any

import keras
import tensorflow as tf

from keras_sagan.layers import (
    ConditionalBatchNormalization,
    SpectralConv2D,
    SpectralDense,
    SpectralEmbedding,
)
from keras_sagan.layers.resample import average_pool, resampled_shape
from keras_sagan.layers.tensors import at_least_float32, image_spec
from keras_sagan.networks.network import ExactOutputs


class Block(keras.layers.Layer):
    """A layer whose sublayers share its dtype policy and its spectral normalization."""

    def __init__(self, normalize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.normalize = normalize

    def spectral(self, layer_class: type, name: str, *arguments: Any, **settings: Any) -> Any:
        """A spectral layer of this block, of the class and with the arguments given."""
        settings = {"dtype": self.dtype_policy} | settings
        settings |= {"name": name, "normalize": self.normalize}
        return layer_class(*arguments, **settings)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"normalize": self.normalize}


class ResamplingBlock(Block):
    """A block with convolutions that change the resolution, as one operation if `fast`."""

    def __init__(self, fast: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fast = fast

    def convolution(self, name, filters, kernel_size=3, resample="none") -> SpectralConv2D:
        settings = {"resample": resample, "fast": self.fast}
        return self.spectral(SpectralConv2D, name, filters, kernel_size, **settings)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"fast": self.fast}


@keras.saving.register_keras_serializable("keras_sagan")
class GeneratorBlock(ResamplingBlock):
    """Doubles the resolution.

    It computes `norm -> ReLU -> upsample -> conv -> norm -> ReLU -> conv`, plus `upsample -> 1x1
    conv` of the raw input. Source: the released generator.py, `block`.

    Args:
        filters: int, output channels.
        num_classes: int, of the batch normalizations; 0 for unconditional ones.
        momentum: float, of the batch normalizations.
        synchronized: bool, of the batch normalizations.
        normalize: bool, whether the convolutions are spectrally normalized.
        fast: bool, whether a convolution and its change of resolution are one operation, and
            likewise an unconditional batch normalization.

    Input shape: `[batch, height, width, channels]`.
    Output shape: `[batch, 2 * height, 2 * width, filters]`.
    """

    def __init__(
        self,
        filters: int,
        num_classes: int = 0,
        momentum: float = 0.999,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.num_classes = filters, num_classes
        self.momentum, self.synchronized = momentum, synchronized

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.input_spec = image_spec(self, input_shape)
        double = self.compute_output_shape(input_shape)
        settings: dict[str, Any] = {"synchronized": self.synchronized, "fast": self.fast}
        settings |= {"momentum": self.momentum, "dtype": self.dtype_policy}
        self.norm_1, self.norm_2 = (
            ConditionalBatchNormalization(self.num_classes, name=name, **settings)
            for name in ("norm_1", "norm_2")
        )
        self.conv_1 = self.convolution("conv_1", self.filters, resample="up")
        self.conv_2 = self.convolution("conv_2", self.filters)
        self.shortcut = self.convolution("shortcut", self.filters, 1, resample="up")
        self.norm_1.build(input_shape)
        self.conv_1.build(input_shape)
        self.norm_2.build(double)
        self.conv_2.build(double)
        self.shortcut.build(input_shape)

    def call(
        self, inputs, labels=None, training: bool = False, advance_u: bool | None = None
    ) -> tf.Tensor:
        residual = self.norm_1(inputs, labels=labels, training=training)
        residual = self.conv_1(tf.nn.relu(residual), advance_u=advance_u)
        residual = self.norm_2(residual, labels=labels, training=training)
        residual = self.conv_2(tf.nn.relu(residual), advance_u=advance_u)
        return residual + self.shortcut(inputs, advance_u=advance_u)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*resampled_shape(input_shape, "up")[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        keys = ("filters", "num_classes", "momentum", "synchronized")
        return super().get_config() | {key: getattr(self, key) for key in keys}


@keras.saving.register_keras_serializable("keras_sagan")
class DiscriminatorBlock(ResamplingBlock):
    """Halves the resolution, or keeps it.

    It computes `ReLU -> conv -> ReLU -> conv -> average pool`, plus `1x1 conv -> average pool` of
    the raw input. Source: the released discriminator.py, `block`; `first` is its `optimized_block`.

    Args:
        filters: int, output channels.
        downsample: bool. Without it, and with as many channels as the input has, the shortcut is
            the input itself.
        first: bool, whether the block sees images. Then no ReLU precedes the first convolution, and
            the shortcut pools before it convolves.
        normalize: bool, whether the convolutions are spectrally normalized.
        fast: bool, whether convolutions and changes of resolution are one operation.

    Input shape: `[batch, height, width, channels]`.
    Output shape: `[batch, height / 2, width / 2, filters]`, or not halved without `downsample`.
    """

    def __init__(
        self, filters: int, downsample: bool = True, first: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.downsample, self.first = filters, downsample, first

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.input_spec = image_spec(self, input_shape)
        resample = "down" if self.downsample else "none"
        self.conv_1 = self.convolution("conv_1", self.filters)
        self.conv_2 = self.convolution("conv_2", self.filters, resample=resample)
        self.conv_1.build(input_shape)
        self.conv_2.build((*input_shape[:-1], self.filters))
        self.shortcut = None
        if self.downsample or input_shape[-1] != self.filters:
            own = "none" if self.first else resample
            self.shortcut = self.convolution("shortcut", self.filters, 1, own)
            self.shortcut.build(input_shape)

    def call(
        self, inputs: tf.Tensor, advance_u: bool | None = None, training: bool | None = None
    ) -> tf.Tensor:
        residual = inputs if self.first else tf.nn.relu(inputs)
        residual = self.conv_1(residual, advance_u=advance_u)
        residual = self.conv_2(tf.nn.relu(residual), advance_u=advance_u)
        if self.shortcut is None:
            return residual + inputs
        if self.first and self.downsample:
            inputs = average_pool(inputs)
        return residual + self.shortcut(inputs, advance_u=advance_u)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape = resampled_shape(input_shape, "down" if self.downsample else "none")
        return (*shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        keys = ("filters", "downsample", "first")
        return super().get_config() | {key: getattr(self, key) for key in keys}


@keras.saving.register_keras_serializable("keras_sagan")
class ProjectionHead(ExactOutputs, Block):
    """Logits from features and from their product with a vector of the class.

    With h the sum over positions after a ReLU, logits are `dense(h) + h . embedding(label)`.
    Source: Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637, equation 4; the released
    discriminator.py (a sum over positions, not a mean). Logits stay float32 under mixed precision,
    since eight bits are too coarse for the margin of a hinge loss.

    Args:
        num_classes: int; 0 leaves out the embedding.
        normalize: bool, whether its kernels are spectrally normalized.

    Input shape: `[batch, height, width, channels]`.
    Output shape: `[batch]`, float32.
    """

    def __init__(self, num_classes: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.input_spec = image_spec(self, input_shape)
        channels = input_shape[-1]
        dtype = at_least_float32(self.compute_dtype)
        self.dense = self.spectral(SpectralDense, "dense", 1, dtype=dtype)
        self.dense.build((None, channels))
        if self.num_classes:
            sizes = (self.num_classes, channels)
            self.embedding = self.spectral(SpectralEmbedding, "embedding", *sizes, dtype=dtype)
            self.embedding.build((None,))

    def call(
        self, inputs, labels=None, advance_u: bool | None = None, training: bool | None = None
    ) -> tf.Tensor:
        images = tf.cast(inputs, at_least_float32(inputs.dtype))
        features = tf.reduce_sum(tf.nn.relu(images), axis=(1, 2))  # [B, C]
        logits = self.dense(features, advance_u=advance_u)[:, 0]
        if self.num_classes:
            vectors = self.embedding(labels, advance_u=advance_u)
            logits += tf.reduce_sum(features * vectors, axis=1)
        return logits

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0],)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"num_classes": self.num_classes}
