"""Layers whose kernel is divided by its largest singular value.

Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957, Algorithm 1; SAGAN uses it in both
networks, https://arxiv.org/abs/1805.08318, section 4.1.

`keras.layers.SpectralNormalization` is not used. It overwrites the kernel with W / sigma, so the
loss is not differentiated through sigma, two calls in one step see different kernels, and
mixed_bfloat16 rounds the float32 weights.

Two choices differ from the released code (ops.py, `spectral_norm`). Here u and v are constants in
the gradient, as in the SN-GAN authors' code; there the gradient passes through the power iteration.
Here a generator's u advances only when a call asks for it; there every run of the graph advances
it, evaluation included.
"""

from typing import Any

import keras
import tensorflow as tf

from keras_sagan.layers.resample import FUSED, PLAIN
from keras_sagan.layers.tensors import at_least_float32


def spectral_norm(kernel: tf.Tensor, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Estimates the largest singular value of `kernel` by one power iteration.

    Args:
        kernel: `[..., units]`. Every axis but the last is flattened into rows.
        u: `[1, units]`, the current estimate of the right singular vector.

    Returns:
        sigma: scalar, differentiable in `kernel`; `u` and `v` are constants.
        u: `[1, units]`, the next estimate.
    """
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
    constant = tf.stop_gradient(matrix)
    v = tf.math.l2_normalize(tf.matmul(u, constant, transpose_b=True))  # [1, rows]
    u = tf.math.l2_normalize(tf.matmul(v, constant))
    sigma = tf.matmul(tf.matmul(v, matrix), u, transpose_b=True)
    return tf.squeeze(sigma), u


class SpectralLayer(keras.layers.Layer):
    """Owns a kernel, which it never assigns, and the singular vector that normalizes it.

    Args:
        normalize: bool. False gives the plain layer with the same kernel, for networks without
            spectral normalization.
        kernel_initializer: a Keras initializer or its name. The default, Glorot uniform, is the
            released code's.
    """

    def __init__(
        self, normalize: bool = True, kernel_initializer: Any = "glorot_uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.normalize = normalize
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def add_kernel(self, shape: tuple[int, ...], units: int | None = None) -> None:
        """Adds the kernel, and its vector u of length `units`, by default the last of `shape`."""
        # No autocast: mixed precision must not round sigma.
        exact = {"dtype": at_least_float32(self.compute_dtype), "autocast": False}
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel", **exact)
        if self.normalize:
            settings = exact | {"trainable": False, "name": "vector_u"}
            normal = keras.initializers.TruncatedNormal(stddev=1.0)
            self.vector_u = self.add_weight((1, units or shape[-1]), normal, **settings)

    def matrix(self, kernel: tf.Tensor) -> tf.Tensor:
        """`kernel` with the axis of u last."""
        return kernel

    def normalized_kernel(self, advance_u: bool = False) -> tf.Tensor:
        """The kernel divided by its sigma, float32; `advance_u` stores the iteration."""
        kernel = tf.convert_to_tensor(self.kernel)
        if not self.normalize:
            return kernel
        sigma, u = spectral_norm(self.matrix(kernel), tf.convert_to_tensor(self.vector_u))
        if advance_u:
            self.vector_u.assign(u)
        return kernel / sigma

    def get_config(self) -> dict[str, Any]:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        own = {"normalize": self.normalize, "kernel_initializer": initializer}
        return super().get_config() | own


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralConv2D(SpectralLayer):
    """Convolution of stride 1 with "same" padding and a spectrally normalized kernel.

    Args:
        filters: int, output channels, at least 1.
        kernel_size: int, odd.
        use_bias: bool. The attention block's 1x1 convolutions have no bias.
        resample: "none", "up" to double the resolution before the convolution, or "down" to halve
            it afterwards. See `resample.py`.
        fast: bool, whether both are one operation; equal up to rounding.

    Call arguments:
        advance_u: bool, whether this call stores its power iteration. It is not `training`, since
            only one of the calls in a training step does.

    Input shape: `[batch, height, width, channels]`.
    Output shape: `[batch, height, width, filters]`, height and width doubled by "up" and halved by
    "down", rounded down.

    Raises:
        ValueError: if `kernel_size` is even, since padding would shift the image, if `filters` is
            not positive, or if `resample` is unknown.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        use_bias: bool = True,
        resample: str = "none",
        fast: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"`filters` must be at least 1. Received: filters={filters}")
        if kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd. Received: kernel_size={kernel_size}")
        if resample not in PLAIN:
            raise ValueError(f"`resample` must be one of {list(PLAIN)}. Received: {resample=}")
        self.filters, self.kernel_size, self.use_bias = filters, kernel_size, use_bias
        self.resample, self.fast = resample, fast

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.add_kernel((self.kernel_size, self.kernel_size, input_shape[-1], self.filters))
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs: tf.Tensor, advance_u: bool = False) -> tf.Tensor:
        forms = FUSED if self.fast else PLAIN
        outputs = forms[self.resample](inputs, self.normalized_kernel(advance_u))
        return outputs + self.bias if self.use_bias else outputs

    def get_config(self) -> dict[str, Any]:
        keys = ("filters", "kernel_size", "use_bias", "resample", "fast")
        return super().get_config() | {key: getattr(self, key) for key in keys}


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralDense(SpectralLayer):
    """Dense layer with a bias and a spectrally normalized kernel.

    Args:
        units: int, length of the output, at least 1.

    Call arguments:
        advance_u: bool, whether this call stores its power iteration.

    Input shape: `[batch, features]`.
    Output shape: `[batch, units]`.

    Raises:
        ValueError: if `units` is not positive.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"`units` must be at least 1. Received: units={units}")
        self.units = units

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.add_kernel((input_shape[-1], self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs: tf.Tensor, advance_u: bool = False) -> tf.Tensor:
        kernel = tf.cast(self.normalized_kernel(advance_u), self.compute_dtype)
        return tf.matmul(inputs, kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralEmbedding(SpectralLayer):
    """One vector per class: the rows of a spectrally normalized table.

    The singular vector u has one entry per class, as in the released code, which transposes the
    table for that. A product with one-hot labels selects the rows, because the gradient of a gather
    is sparse, which XLA cannot compile over replicas. A label out of range selects zeros.

    Args:
        num_classes: int, at least 1.
        dim: int, length of a vector, at least 1.

    Call arguments:
        advance_u: bool, whether this call stores its power iteration.

    Input shape: `[batch]`, int.
    Output shape: `[batch, dim]`.

    Raises:
        ValueError: if `num_classes` or `dim` is not positive.
    """

    def __init__(self, num_classes: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_classes < 1 or dim < 1:
            raise ValueError(
                "`num_classes` and `dim` must be at least 1. "
                f"Received: num_classes={num_classes}, dim={dim}"
            )
        self.num_classes, self.dim = num_classes, dim

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.add_kernel((self.num_classes, self.dim), units=self.num_classes)

    def matrix(self, kernel):
        return tf.transpose(kernel)

    def call(self, labels: tf.Tensor, advance_u: bool = False) -> tf.Tensor:
        one_hot = tf.one_hot(labels, self.num_classes, dtype=self.compute_dtype)
        kernel = tf.cast(self.normalized_kernel(advance_u), self.compute_dtype)
        return tf.matmul(one_hot, kernel)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"num_classes": self.num_classes, "dim": self.dim}
