"""Spectral normalization of any Keras layer that has a kernel."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_sagan.layers.power_iteration import divide_by_norm, resolve_advance_u
from keras_sagan.layers.tensors import at_least_float32

TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
DEPTHWISE = keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D


@keras.saving.register_keras_serializable("keras_sagan")
class SpectralNormalization(keras.layers.Wrapper):
    """Divides the kernel that a layer uses by its largest singular value.

    A drop-in for `keras.layers.SpectralNormalization` that never assigns the kernel. The loss is
    differentiated through the norm, and all calls in one step see the same kernel. The norm is that
    of the kernel as a matrix with one column for each output of the layer, as in Miyato et al.
    2018, https://arxiv.org/abs/1802.05957, section 2.1. These axes of the kernel are its columns:

        Dense, Embedding, Conv1D to Conv3D with or without groups: the last
        Conv1DTranspose to Conv3DTranspose, `[..., out, in]`: the last but one
        DepthwiseConv1D and DepthwiseConv2D, `[..., in, multiplier]`: the last two
        EinsumDense: those that are axes of the output, too
        any other layer: the last

    Norm and singular vector are float32, or float64, under every dtype policy. A regularizer of the
    kernel sees it as it is stored, before the division.

    Args:
        layer: a Keras layer with a `kernel`, or `embeddings`, of two axes or more. The dtype policy
            is given to it, not to the wrapper.
        power_iterations: int, power iterations in each call, at least 1.

    Call arguments:
        inputs: as `layer` takes them.
        advance_u, training: as for `SpectralConv2D`; `layer` sees `training`, too.

    Input and output shape: as for `layer`.

    Raises:
        ValueError: if `power_iterations` is not positive, `dtype` is not the one in which `layer`
            stores its variables, or, when the wrapper is built, `layer` has no such kernel.
    """

    def __init__(self, layer: keras.layers.Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        if power_iterations < 1:
            raise ValueError(
                f"`power_iterations` must be at least 1. Received: {power_iterations=}"
            )
        # Without autocast, `call` reads variables as they are stored; `layer` casts its own.
        stored = layer.dtype_policy.variable_dtype
        super().__init__(layer, **{"dtype": stored} | kwargs, autocast=False)
        if self.dtype_policy.name != stored:
            raise ValueError(
                "`dtype` belongs to the layer that is wrapped. "
                f"Received: dtype={self.dtype_policy.name}, layer of {layer.dtype_policy.name}"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        shape = tuple(self.kernel.shape)
        self.columns = [axis % len(shape) for axis in output_axes(self.layer)]
        self.vector_u = self.add_weight(
            (1, math.prod(shape[axis] for axis in self.columns)),
            keras.initializers.TruncatedNormal(stddev=1.0),
            name="vector_u",
            trainable=False,
            dtype=at_least_float32(self.kernel.dtype),
        )

    @property
    def kernel(self) -> keras.Variable:
        """The kernel of `layer`, as it is stored."""
        kernel = getattr(self.layer, "kernel", getattr(self.layer, "embeddings", None))
        if not isinstance(kernel, keras.Variable) or len(kernel.shape) < 2:
            raise ValueError(
                "expected a layer with a variable `kernel` or `embeddings` of two axes or more. "
                f"Received: layer={self.layer.name} of {type(self.layer).__name__}, {kernel=}"
            )
        return kernel

    def normalized_kernel(self, advance_u: bool = False) -> tf.Tensor:
        """The kernel divided by its sigma, at least float32; `advance_u` stores the iteration."""
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), self.vector_u.dtype)
        rows = [axis for axis in range(len(kernel.shape)) if axis not in self.columns]
        matrix = tf.transpose(kernel, [*rows, *self.columns])
        matrix = tf.reshape(matrix, [-1, self.vector_u.shape[1]])
        return divide_by_norm(kernel, matrix, self.vector_u, advance_u, self.power_iterations)

    def call(self, inputs: Any, advance_u: bool | None = None, training: bool | None = None) -> Any:
        kernel = self.normalized_kernel(resolve_advance_u(advance_u, training))
        # The scope gives `layer` the quotient for its kernel. It also hides from `layer` a scope
        # around this one, and hides what `layer` assigns; so all variables pass through it.
        variables = self.layer.variables
        values = [kernel if each is self.kernel else each.value for each in variables]
        scope = keras.StatelessScope(zip(variables, values, strict=True), collect_losses=True)
        before = [scope.get_current_value(variable) for variable in variables]
        with scope:
            outputs = self.layer(inputs)
        for variable, value in zip(variables, before, strict=True):
            after = scope.get_current_value(variable)
            if after is not value:
                variable.assign(after)
        for loss in scope.losses:
            self.add_loss(loss)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def compute_output_spec(
        self, inputs: Any, advance_u: bool | None = None, training: bool | None = None
    ) -> Any:
        return self.layer.compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"power_iterations": self.power_iterations}


def output_axes(layer: keras.layers.Layer) -> tuple[int, ...]:
    """The axes of a layer's kernel that its outputs have."""
    if isinstance(layer, TRANSPOSED):
        return (-2,)
    if isinstance(layer, DEPTHWISE):
        return (-2, -1)
    if isinstance(layer, keras.layers.EinsumDense):
        inputs, outputs = layer.equation.replace(" ", "").split("->")
        kernel = inputs.split(",")[1]
        return tuple(i for i, axis in enumerate(kernel) if axis in outputs)
    return (-1,)
