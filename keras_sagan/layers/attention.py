"""Self-attention over the positions of a feature map, and its control without attention."""

from typing import Any

import keras
import tensorflow as tf

from keras_sagan.layers.attend import attend, attend_at_once, attention_weights
from keras_sagan.layers.resample import max_pool
from keras_sagan.layers.spectral import SpectralConv2D
from keras_sagan.layers.tensors import check_channels_last, image_spec, sizes_of


class GatedResidual(keras.layers.Layer):
    """Adds a branch to its input, weighted by a learned `gamma` that starts at zero."""

    def __init__(self, normalize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_channels_last(self)
        self.normalize = normalize

    def convolution(self, name: str, filters: int, kernel_size: int = 1) -> SpectralConv2D:
        """A convolution of the branch, without bias and with the dtype policy of this layer."""
        settings = {"use_bias": False, "normalize": self.normalize, "dtype": self.dtype_policy}
        return SpectralConv2D(filters, kernel_size, name=name, **settings)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.input_spec = image_spec(self, input_shape)
        self.check_even(input_shape)
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="zeros")

    def check_even(self, input_shape: tuple[int | None, ...]) -> None:
        """Raises a `ValueError` if height or width is known and odd."""
        if any(size is not None and size % 2 for size in input_shape[1:3]):
            text = f"{type(self).__name__} needs an even height and width. Received: input_shape="
            raise ValueError(f"{text}{tuple(input_shape)}")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        self.check_even(input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"normalize": self.normalize}


@keras.saving.register_keras_serializable("keras_sagan")
class SelfAttention(GatedResidual):
    """Adds to each position a weighted mean over all positions.

    It has the form of the released code (non_local.py, `sn_non_local_block_sim`), not of the paper:
    key and value are max-pooled, the value has C / 2 channels, a fourth convolution restores C, and
    scores are not divided by the square root of their depth. The released code calls the query
    `theta`, the key `phi`, the value `g`, the output projection `attn` and gamma `sigma_ratio`.
    Source: https://arxiv.org/abs/1805.08318, section 3, equations 1 to 3.

    Args:
        normalize: bool, whether the four 1x1 convolutions are spectrally normalized.
        fast: bool, whether attention to large maps is computed in blocks; equal up to rounding.

    Call arguments:
        advance_u, training: as for `SpectralConv2D`.

    Input shape: `[batch, height, width, channels]`, height and width even.
    Output shape: as the input.

    Raises:
        ValueError: if height or width is odd, the number of channels is unknown, or Keras has
            channels first. Height and width may be unknown when the layer is built.
    """

    def __init__(self, normalize: bool = True, fast: bool = True, **kwargs: Any) -> None:
        super().__init__(normalize, **kwargs)
        self.fast = fast

    def build(self, input_shape: tuple[Any, ...]) -> None:
        super().build(input_shape)
        channels = input_shape[-1]
        self.query = self.convolution("query", max(channels // 8, 1))
        self.key = self.convolution("key", max(channels // 8, 1))
        self.value = self.convolution("value", max(channels // 2, 1))
        self.output_projection = self.convolution("output_projection", channels)
        for layer in (self.query, self.key, self.value):
            layer.build(input_shape)
        self.output_projection.build((*input_shape[:-1], self.value.filters))

    def call(
        self, inputs: tf.Tensor, advance_u: bool | None = None, training: bool | None = None
    ) -> tf.Tensor:
        self.check_even(tuple(inputs.shape))
        query, key = self.query_and_key(inputs, advance_u)
        value = self.value(inputs, advance_u=advance_u)
        value = flatten_positions(max_pool(value))  # [B, N/4, C/2]
        attended = (attend if self.fast else attend_at_once)(query, key, value)  # [B, N, C/2]
        attended = tf.reshape(attended, [-1, *sizes_of(inputs)[1:3], value.shape[-1]])
        return inputs + self.gamma * self.output_projection(attended, advance_u=advance_u)

    def attention_map(self, inputs: tf.Tensor, advance_u: bool = False) -> tf.Tensor:
        """The weights with which each position attends to the others; arguments as in a call.

        Returns:
            `[batch, height * width, height * width / 4]`, float32. Each row sums to 1. Queries
            (positions of the input) and keys (2x2 squares of positions) are in row-major order.
        """
        return attention_weights(*self.query_and_key(inputs, advance_u))

    def query_and_key(
        self, inputs: tf.Tensor, advance_u: bool | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Queries `[B, N, C / 8]` and max-pooled keys `[B, N / 4, C / 8]`."""
        query = flatten_positions(self.query(inputs, advance_u=advance_u))
        return query, flatten_positions(max_pool(self.key(inputs, advance_u=advance_u)))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"fast": self.fast}


@keras.saving.register_keras_serializable("keras_sagan")
class ResidualControl(GatedResidual):
    """A residual block with exactly as many parameters as `SelfAttention`, to replace it.

    The paper uses such a control (section 5.2, Table 1) to find out whether attention helps or
    merely more weights do. It gives neither kernel sizes nor widths. We chose 3x3 to C / 8, then
    1x1 to C, without biases and with the same gamma. Both layers then have 1.25 C^2 + 1 parameters
    (for C a multiple of 8) and differ only in how far a position sees.

    Args:
        normalize: bool, whether the two convolutions are spectrally normalized.

    Call arguments:
        advance_u, training: as for `SpectralConv2D`.

    Input shape: `[batch, height, width, channels]`, height and width even.
    Output shape: as the input.

    Raises:
        ValueError: if height or width is odd, the number of channels is unknown, or Keras has
            channels first. Height and width may be unknown when the layer is built.
    """

    def build(self, input_shape: tuple[Any, ...]) -> None:
        super().build(input_shape)
        channels = input_shape[-1]
        hidden = max(channels // 8, 1)
        self.squeeze = self.convolution("squeeze", hidden, kernel_size=3)
        self.output_projection = self.convolution("output_projection", channels)
        self.squeeze.build(input_shape)
        self.output_projection.build((*input_shape[:-1], hidden))

    def call(
        self, inputs: tf.Tensor, advance_u: bool | None = None, training: bool | None = None
    ) -> tf.Tensor:
        self.check_even(tuple(inputs.shape))
        hidden = self.squeeze(tf.nn.relu(inputs), advance_u=advance_u)
        outputs = self.output_projection(tf.nn.relu(hidden), advance_u=advance_u)
        return inputs + self.gamma * outputs


def flatten_positions(images: tf.Tensor) -> tf.Tensor:
    """`[B, H, W, C]` to `[B, H * W, C]`."""
    _, height, width, channels = sizes_of(images)
    return tf.reshape(images, [-1, height * width, channels])
