"""What every layer asks of its inputs: exactness, sizes, labels, and the order of axes."""

from typing import Any

import keras
import tensorflow as tf


def at_least_float32(dtype: Any) -> str:
    """Returns "float64" for float64 and "float32" for every other `dtype`.

    It is the dtype of weights, singular vectors, statistics and scores: bfloat16 has eight bits,
    too few for sums and differences.
    """
    return "float64" if tf.as_dtype(dtype) == tf.float64 else "float32"


def sizes_of(tensor: tf.Tensor) -> tuple[Any, ...]:
    """The sizes of a tensor: ints where the graph knows them, scalar tensors elsewhere."""
    if None not in tensor.shape:
        return tuple(tensor.shape)
    dynamic = tf.shape(tensor)
    return tuple(dynamic[i] if size is None else size for i, size in enumerate(tensor.shape))


def image_spec(layer: keras.layers.Layer, input_shape: tuple[int | None, ...]) -> Any:
    """What `layer` accepts once it is built: images with the channels of `input_shape`.

    Raises:
        ValueError: if these are not images with a known number of channels.
    """
    if len(input_shape) != 4 or input_shape[-1] is None:
        raise ValueError(
            f"{type(layer).__name__} needs inputs [batch, height, width, channels] with a known "
            f"number of channels. Received: input_shape={tuple(input_shape)}"
        )
    return keras.layers.InputSpec(ndim=4, axes={-1: input_shape[-1]})


def check_channels_last(layer: keras.layers.Layer) -> None:
    """Checks that Keras orders the axes of images as `layer` does.

    Raises:
        ValueError: if it does not: beside other layers, this one would mistake rows for channels.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            f"{type(layer).__name__} needs images with channels last: set `image_data_format` in "
            "keras.json, or by keras.config.set_image_data_format, to 'channels_last'. "
            f"Received: image_data_format={keras.config.image_data_format()!r}"
        )


def one_hot_labels(labels: Any, num_classes: int, dtype: Any) -> tf.Tensor:
    """One-hot rows `[batch, num_classes]` of labels `[batch]`.

    A product with them selects rows of a table. A gather would have a sparse gradient, which XLA
    cannot compile over replicas. In graphs, a label outside of the classes gives a row of zeros.

    Raises:
        ValueError: if there are no labels, if they are not integers `[batch]`, or, in eager code,
            if one of them is none of the classes.
    """
    expected = f"`labels` must be integers [batch] in [0, {num_classes})"
    if labels is None:
        raise ValueError(
            f"A layer with classes needs `labels`. Received: {labels=}, {num_classes=}"
        )
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank != 1 or not labels.dtype.is_integer:
        raise ValueError(f"{expected}. Received: shape={labels.shape}, dtype={labels.dtype.name}")
    if tf.executing_eagerly():
        outside = tf.boolean_mask(labels, (labels < 0) | (labels >= num_classes))
        if tf.size(outside):
            raise ValueError(f"{expected}. Received: labels={outside.numpy().tolist()}")
    return tf.one_hot(labels, num_classes, dtype=dtype)
