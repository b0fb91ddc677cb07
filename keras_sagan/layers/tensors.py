"""What every layer asks of a tensor: how exact it must be, and how large it is."""

from typing import Any

import tensorflow as tf


def at_least_float32(dtype: Any) -> str:
    """Returns "float64" for float64 and "float32" for every other `dtype`.

    It is the dtype of weights, singular vectors, statistics and scores: bfloat16 has eight bits,
    too few for sums and differences.
    """
    return "float64" if tf.as_dtype(dtype) == tf.float64 else "float32"


def static_shape(tensor: tf.Tensor) -> tuple[Any, ...]:
    """The sizes of a tensor: ints, and None where only a call knows.

    TensorFlow's own annotation, `int | None`, forbids to compute with them.
    """
    return tuple(tensor.shape)
