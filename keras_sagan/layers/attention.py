"""Self-attention over the positions of a feature map, and its control without attention."""

import keras
import tensorflow as tf

from keras_sagan.layers.attend import attend, attend_at_once, attention_weights
from keras_sagan.layers.resample import max_pool
from keras_sagan.layers.spectral import SpectralConv2D


class GatedResidual(keras.layers.Layer):
    """Adds something to its input by a learned weight `gamma` that starts at zero.

    Args:
        normalize: bool, whether the convolutions are spectrally normalized.

    Input shape: `[batch, height, width, channels]`, height and width even.
    Output shape: as the input.

    Raises:
        ValueError: if height or width is odd.
    """

    def __init__(self, normalize=True, **kwargs):
        super().__init__(**kwargs)
        self.normalize = normalize

    def convolution(self, name, filters, kernel_size=1):
        settings = {"use_bias": False, "normalize": self.normalize, "dtype": self.dtype_policy}
        return SpectralConv2D(filters, kernel_size, name=name, **settings)

    def build(self, input_shape):
        _, height, width, _ = input_shape
        if height % 2 or width % 2:
            raise ValueError(
                f"{type(self).__name__} needs an even height and width. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="zeros")

    def get_config(self):
        return super().get_config() | {"normalize": self.normalize}


@keras.saving.register_keras_serializable("keras_sagan")
class SelfAttention(GatedResidual):
    """Adds to each position what it attends to at all positions.

    The released form (non_local.py, `sn_non_local_block_sim`), not the paper's: key and value are
    max-pooled, the value has C / 2 channels, a fourth convolution brings them back to C, scores
    are not divided by the square root of their depth. Names there: `theta` is our query, `phi`
    the key, `g` the value, `attn` the output projection, `sigma_ratio` is gamma.
    Source: https://arxiv.org/abs/1805.08318, section 3, equations 1 to 3.

    Args:
        normalize: bool, whether the four 1x1 convolutions are spectrally normalized.
        fast: bool, whether large maps are attended to in blocks; equal but for rounding.

    Call arguments:
        advance_u: bool, whether this call keeps its power iterations.

    Input shape: `[batch, height, width, channels]`, height and width even.
    Output shape: as the input.

    Raises:
        ValueError: if height or width is odd.
    """

    def __init__(self, normalize=True, fast=True, **kwargs):
        super().__init__(normalize, **kwargs)
        self.fast = fast

    def build(self, input_shape):
        super().build(input_shape)
        channels = input_shape[-1]
        self.query = self.convolution("query", max(channels // 8, 1))
        self.key = self.convolution("key", max(channels // 8, 1))
        self.value = self.convolution("value", max(channels // 2, 1))
        self.output_projection = self.convolution("output_projection", channels)
        for layer in (self.query, self.key, self.value):
            layer.build(input_shape)
        self.output_projection.build((*input_shape[:-1], self.value.filters))

    def call(self, inputs, advance_u=False):
        query, key = self.query_and_key(inputs, advance_u)
        value = flatten(max_pool(self.value(inputs, advance_u=advance_u)))  # [B, N/4, C/2]
        attended = (attend if self.fast else attend_at_once)(query, key, value)  # [B, N, C/2]
        attended = tf.reshape(attended, [-1, *inputs.shape[1:3], value.shape[-1]])
        return inputs + self.gamma * self.output_projection(attended, advance_u=advance_u)

    def attention_map(self, inputs, advance_u=False):
        """Where each position looks.

        Returns:
            `[batch, height * width, height * width / 4]`, float32, rows sum to 1. Row-major in
            queries (positions of the input) and in keys (2x2 squares of positions).
        """
        return attention_weights(*self.query_and_key(inputs, advance_u))

    def query_and_key(self, inputs, advance_u):
        query = flatten(self.query(inputs, advance_u=advance_u))  # [B, N, C/8]
        return query, flatten(max_pool(self.key(inputs, advance_u=advance_u)))  # [B, N/4, C/8]

    def get_config(self):
        return super().get_config() | {"fast": self.fast}


@keras.saving.register_keras_serializable("keras_sagan")
class ResidualControl(GatedResidual):
    """A residual block with exactly the parameters of `SelfAttention`, to stand in its place.

    The paper's control (section 5.2, Table 1) for the question whether attention helps or only
    more weights. The paper gives neither kernel sizes nor widths. Our choice: 3x3 to C / 8, then
    1x1 to C, no biases, and the same gamma, so that the sum of parameters is 1.25 C^2 + 1 in both
    (for C a multiple of 8) and the two differ only in how far a position sees.

    Args:
        normalize: bool, whether the two convolutions are spectrally normalized.

    Call arguments:
        advance_u: bool, whether this call keeps its power iterations.

    Input shape: `[batch, height, width, channels]`, height and width even.
    Output shape: as the input.

    Raises:
        ValueError: if height or width is odd.
    """

    def build(self, input_shape):
        super().build(input_shape)
        channels = input_shape[-1]
        hidden = max(channels // 8, 1)
        self.squeeze = self.convolution("squeeze", hidden, kernel_size=3)
        self.output_projection = self.convolution("output_projection", channels)
        self.squeeze.build(input_shape)
        self.output_projection.build((*input_shape[:-1], hidden))

    def call(self, inputs, advance_u=False):
        hidden = self.squeeze(tf.nn.relu(inputs), advance_u=advance_u)
        outputs = self.output_projection(tf.nn.relu(hidden), advance_u=advance_u)
        return inputs + self.gamma * outputs


def flatten(images):
    """`[B, H, W, C]` to `[B, H * W, C]`."""
    _, height, width, channels = images.shape
    return tf.reshape(images, [-1, height * width, channels])
