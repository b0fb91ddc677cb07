"""Layers whose kernel is divided by its largest singular value.

Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957, Algorithm 1; SAGAN uses it in both
networks, https://arxiv.org/abs/1805.08318, section 4.1.

`keras.layers.SpectralNormalization` is not used. It overwrites the kernel with W / sigma, so the
loss is not differentiated through sigma, two calls in one step see different kernels, and
mixed_bfloat16 rounds the float32 weights.

A layer stores its power iteration in every training call, so it is right under `fit`. A step that
calls a network several times says by `advance_u` which call stores it.

Two choices differ from the released code (ops.py, `spectral_norm`). Here u and v are constants in
the gradient, as in the SN-GAN authors' code; there the gradient passes through the power iteration.
Here evaluation stores nothing; there every run of the graph advances a generator's u.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_sagan.layers.power_iteration import divide_by_norm, resolve_advance_u
from keras_sagan.layers.resample import FUSED, PLAIN, resampled_shape
from keras_sagan.layers.tensors import (
    at_least_float32,
    check_channels_last,
    image_spec,
    one_hot_labels,
)


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
        return divide_by_norm(kernel, self.matrix(kernel), self.vector_u, advance_u)

    def get_config(self) -> dict[str, Any]:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        own = {"normalize": self.normalize, "kernel_initializer": initializer}
        return super().get_config() | own


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralConv2D(SpectralLayer):
    """Convolution of stride 1 with "same" padding and a spectrally normalized kernel.

    Args:
        filters: int, output channels, at least 1.
        kernel_size: int, or height and width; odd.
        use_bias: bool. The attention block's 1x1 convolutions have no bias.
        resample: "none", "up" to double the resolution before the convolution, or "down" to halve
            it afterwards. See `resample.py`.
        fast: bool, whether both are one operation; equal up to rounding.

    Call arguments:
        advance_u: bool, whether this call stores its power iteration. None: if it is a training
            call. A training step with several calls passes True to one of them.
        training: bool, whether this is a training call.

    Input shape: `[batch, height, width, channels]`.
    Output shape: `[batch, height, width, filters]`, height and width doubled by "up" and halved by
    "down", rounded down.

    Raises:
        ValueError: if `kernel_size` is even, since padding would shift the image, if `filters` is
            not positive, if `resample` is unknown, or if Keras has channels first.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int] = 3,
        use_bias: bool = True,
        resample: str = "none",
        fast: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_channels_last(self)
        if filters < 1:
            raise ValueError(f"`filters` must be at least 1. Received: filters={filters}")
        sizes = (kernel_size,) * 2 if isinstance(kernel_size, int) else tuple(kernel_size)
        if len(sizes) != 2 or any(size < 1 or size % 2 == 0 for size in sizes):
            raise ValueError(
                f"`kernel_size` must be odd, an int or two. Received: kernel_size={kernel_size}"
            )
        if resample not in PLAIN:
            raise ValueError(f"`resample` must be one of {list(PLAIN)}. Received: {resample=}")
        self.filters, self.kernel_size, self.use_bias = filters, sizes, use_bias
        self.resample, self.fast = resample, fast

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.input_spec = image_spec(self, input_shape)
        self.add_kernel((*self.kernel_size, input_shape[-1], self.filters))
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(
        self, inputs: tf.Tensor, advance_u: bool | None = None, training: bool | None = None
    ) -> tf.Tensor:
        forms = FUSED if self.fast else PLAIN
        kernel = self.normalized_kernel(resolve_advance_u(advance_u, training))
        outputs = forms[self.resample](inputs, kernel)
        return outputs + self.bias if self.use_bias else outputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*resampled_shape(input_shape, self.resample)[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        keys = ("filters", "kernel_size", "use_bias", "resample", "fast")
        return super().get_config() | {key: getattr(self, key) for key in keys}


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralDense(SpectralLayer):
    """Dense layer with a bias and a spectrally normalized kernel.

    Args:
        units: int, length of the output, at least 1.

    Call arguments:
        advance_u, training: as for `SpectralConv2D`.

    Input shape: `[..., features]`, of two axes or more.
    Output shape: `[..., units]`.

    Raises:
        ValueError: if `units` is not positive.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"`units` must be at least 1. Received: units={units}")
        self.units = units

    def build(self, input_shape: tuple[Any, ...]) -> None:
        features = input_shape[-1]
        if len(input_shape) < 2 or features is None:
            raise ValueError(
                "SpectralDense needs inputs [..., features] with a known number of features. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: features})
        self.add_kernel((features, self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(
        self, inputs: tf.Tensor, advance_u: bool | None = None, training: bool | None = None
    ) -> tf.Tensor:
        kernel = self.normalized_kernel(resolve_advance_u(advance_u, training))
        return tf.matmul(inputs, tf.cast(kernel, self.compute_dtype)) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralEmbedding(SpectralLayer):
    """One vector per class: the rows of a spectrally normalized table.

    The singular vector u has one entry per class, as in the released code, which transposes the
    table for that. A label that is none of the classes is an error in eager code and selects zeros
    in graphs.

    Args:
        num_classes: int, at least 1.
        dim: int, length of a vector, at least 1.

    Call arguments:
        advance_u, training: as for `SpectralConv2D`.

    Input shape: `[batch]`, int, in [0, num_classes).
    Output shape: `[batch, dim]`.

    Raises:
        ValueError: if `num_classes` or `dim` is not positive, or for wrong labels, see
            `one_hot_labels`.
    """

    def __init__(self, num_classes: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_classes < 1 or dim < 1:
            raise ValueError(
                "`num_classes` and `dim` must be at least 1. "
                f"Received: num_classes={num_classes}, dim={dim}"
            )
        self.num_classes, self.dim = num_classes, dim

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.add_kernel((self.num_classes, self.dim), units=self.num_classes)

    def matrix(self, kernel):
        return tf.transpose(kernel)

    def call(
        self, labels: tf.Tensor, advance_u: bool | None = None, training: bool | None = None
    ) -> tf.Tensor:
        kernel = self.normalized_kernel(resolve_advance_u(advance_u, training))
        one_hot = one_hot_labels(labels, self.num_classes, self.compute_dtype)
        return tf.matmul(one_hot, tf.cast(kernel, self.compute_dtype))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape, self.dim)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"num_classes": self.num_classes, "dim": self.dim}
