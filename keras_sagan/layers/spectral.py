"""Layers whose kernel is divided by its largest singular value.

Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957, Algorithm 1; SAGAN uses it in both
networks, https://arxiv.org/abs/1805.08318, section 4.1.

`keras.layers.SpectralNormalization` is not used: it overwrites the kernel with W / sigma, so the
loss is not differentiated through sigma, two calls in one step see different kernels, and under
mixed_bfloat16 the float32 weights are rounded.

Two choices where the released code (ops.py, `spectral_norm`) does otherwise: u and v count as
constants in the gradient, as in the SN-GAN authors' code, while there the gradient passes through
the power iteration; and a generator's u is kept only when a call asks for it, while there every
run of the graph keeps it, evaluation too.
"""

import keras
import tensorflow as tf

from keras_sagan.layers.resample import FUSED, PLAIN


def spectral_norm(kernel, u):
    """Estimates the largest singular value of `kernel` by one power iteration.

    Args:
        kernel: `[..., units]`, float32. Every axis but the last is flattened into rows.
        u: `[1, units]`, float32. The right singular vector as estimated so far.

    Returns:
        sigma: scalar, differentiable in `kernel`; `u` and `v` count as constants.
        u: `[1, units]`, the next estimate.
    """
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
    constant = tf.stop_gradient(matrix)
    v = tf.math.l2_normalize(tf.matmul(u, constant, transpose_b=True))  # [1, rows]
    u = tf.math.l2_normalize(tf.matmul(v, constant))
    sigma = tf.matmul(tf.matmul(v, matrix), u, transpose_b=True)
    return tf.squeeze(sigma), u


class SpectralLayer(keras.layers.Layer):
    """Owns a float32 kernel, never assigned, and the singular vector that normalizes it.

    Args:
        normalize: bool, False for the plain layer with the same kernel, for networks without
            spectral normalization.
        kernel_initializer: Glorot uniform by default, as in the released code.
    """

    def __init__(self, normalize=True, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.normalize = normalize
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def add_kernel(self, shape, units=None):
        # Float32 and no autocast: sigma is a float32 number under every dtype policy.
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=self.kernel_initializer,
            dtype="float32",
            autocast=False,
        )
        if self.normalize:
            self.vector_u = self.add_weight(
                name="vector_u",
                shape=(1, units or shape[-1]),
                initializer=keras.initializers.TruncatedNormal(stddev=1.0),
                trainable=False,
                dtype="float32",
                autocast=False,
            )

    def matrix(self, kernel):
        """`kernel` such that its last axis is the one of u."""
        return kernel

    def normalized_kernel(self, advance_u=False):
        """The kernel over its sigma, float32; `advance_u` keeps the iteration."""
        kernel = tf.convert_to_tensor(self.kernel)
        if not self.normalize:
            return kernel
        sigma, u = spectral_norm(self.matrix(kernel), tf.convert_to_tensor(self.vector_u))
        if advance_u:
            self.vector_u.assign(u)
        return kernel / sigma

    def get_config(self):
        initializer = keras.initializers.serialize(self.kernel_initializer)
        own = {"normalize": self.normalize, "kernel_initializer": initializer}
        return super().get_config() | own


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralConv2D(SpectralLayer):
    """Same-padded convolution, stride 1, with a spectrally normalized kernel.

    Args:
        filters: int, output channels, at least 1.
        kernel_size: int, odd.
        use_bias: bool. The attention block's 1x1 convolutions have none.
        resample: "none"; "up" to double the resolution before the convolution, "down" to halve it
            after. See `resample.py`.
        fast: bool, whether to do both at once; equal but for rounding.

    Call arguments:
        advance_u: bool, whether this call keeps its power iteration. Not `training`: of the
            calls in a training step only one does.

    Input shape: `[batch, height, width, channels]`.
    Output shape: `[batch, height, width, filters]`, height and width doubled by "up" and halved by
    "down", rounded down.

    Raises:
        ValueError: if `kernel_size` is even, since padding would shift the image, if `filters` is
            not positive, or if `resample` is unknown.
    """

    def __init__(self, filters, kernel_size=3, use_bias=True, resample="none", fast=True, **kwargs):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"`filters` must be at least 1. Received: filters={filters}")
        if kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd. Received: kernel_size={kernel_size}")
        if resample not in PLAIN:
            raise ValueError(f"`resample` must be one of {list(PLAIN)}. Received: {resample=}")
        self.filters = filters
        self.kernel_size = kernel_size
        self.use_bias = use_bias
        self.resample = resample
        self.fast = fast

    def build(self, input_shape):
        self.add_kernel((self.kernel_size, self.kernel_size, input_shape[-1], self.filters))
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs, advance_u=False):
        forms = FUSED if self.fast else PLAIN
        outputs = forms[self.resample](inputs, self.normalized_kernel(advance_u))
        return outputs + self.bias if self.use_bias else outputs

    def get_config(self):
        keys = ("filters", "kernel_size", "use_bias", "resample", "fast")
        return super().get_config() | {key: getattr(self, key) for key in keys}


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralDense(SpectralLayer):
    """Dense layer with a spectrally normalized kernel and a bias.

    Args:
        units: int, length of the output, at least 1.

    Call arguments:
        advance_u: bool, whether this call keeps its power iteration.

    Input shape: `[batch, features]`.
    Output shape: `[batch, units]`.

    Raises:
        ValueError: if `units` is not positive.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"`units` must be at least 1. Received: units={units}")
        self.units = units

    def build(self, input_shape):
        self.add_kernel((input_shape[-1], self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs, advance_u=False):
        kernel = tf.cast(self.normalized_kernel(advance_u), self.compute_dtype)
        return tf.matmul(inputs, kernel) + self.bias

    def get_config(self):
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralEmbedding(SpectralLayer):
    """One vector a class, rows of a spectrally normalized table.

    The singular vector u has one entry a class, as in the released code, which transposes the
    table for it. Rows are taken by a product with one-hot labels: the gradient of a gather is
    sparse, which XLA cannot compile over replicas. A label outside the range gives zeros.

    Args:
        num_classes: int, at least 1.
        dim: int, length of a class's vector, at least 1.

    Call arguments:
        advance_u: bool, whether this call keeps its power iteration.

    Input shape: `[batch]`, int.
    Output shape: `[batch, dim]`.

    Raises:
        ValueError: if `num_classes` or `dim` is not positive.
    """

    def __init__(self, num_classes, dim, **kwargs):
        super().__init__(**kwargs)
        if num_classes < 1 or dim < 1:
            raise ValueError(
                "`num_classes` and `dim` must be at least 1. "
                f"Received: num_classes={num_classes}, dim={dim}"
            )
        self.num_classes = num_classes
        self.dim = dim

    def build(self, input_shape):
        self.add_kernel((self.num_classes, self.dim), units=self.num_classes)

    def matrix(self, kernel):
        return tf.transpose(kernel)

    def call(self, labels, advance_u=False):
        one_hot = tf.one_hot(labels, self.num_classes, dtype=self.compute_dtype)
        kernel = tf.cast(self.normalized_kernel(advance_u), self.compute_dtype)
        return tf.matmul(one_hot, kernel)

    def get_config(self):
        return super().get_config() | {"num_classes": self.num_classes, "dim": self.dim}
