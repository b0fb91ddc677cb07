"""Turns a user's images into the batches of steps, and checks them before training."""

import contextlib
import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.batches import read_examples
from keras_sagan.serving.signatures import check_labels
from keras_sagan.values import ImageSet

# Tolerated outside of [-1, 1]: what rescaling rounds.
ROUNDING = 1e-3


class Feed(NamedTuple):
    """What `fit` of Keras gets."""

    # Elements are tuples of `d_steps` pairs of images `[batch_size, H, W, C]`, uint8 or float32 in
    # [-1, 1], and int32 labels `[batch_size]`.
    dataset: tf.data.Dataset
    steps_per_epoch: int | None  # None: an epoch is one pass through the dataset.
    class_counts: list[int] | None  # Real images of each class; None: unknown.


def feed_arrays(
    images: np.ndarray, labels: Any, config: Config, step: tf.Variable, steps_per_epoch: int | None
) -> Feed:
    """Feeds arrays in the order of `train`: a function of `config.seed` and of the present step.

    An epoch has as many steps as there are whole steps in the images. The images left over are the
    first of the next epoch. Because the order depends on `step`, which is saved with the weights,
    a model that resumes sees the images that it would have seen.

    Args:
        images: `[N, H, W, C]`, uint8, or float in [-1, 1].
        labels: int `[N]`, or None.
        config: of the model.
        step: number of steps done, read when an epoch starts.
        steps_per_epoch: None: as many as there are images for.

    Raises:
        ValueError: if images or labels do not fit the model, or are too few for a step.
    """
    size, d_steps = config.batch_size, config.d_steps
    needed = size * d_steps
    check_images(images, config.image_set.image_shape, needed)
    check_count(len(images), needed)
    labels = check_label_array(labels, len(images), config.num_classes)
    if images.dtype != np.uint8:
        images = np.asarray(images, np.float32)

    def batch_numbers():  # Called when iteration starts, after callbacks have restored weights.
        yield from itertools.count(int(step.numpy()) * d_steps)

    numbers = tf.data.Dataset.from_generator(
        batch_numbers, output_signature=tf.TensorSpec([], tf.int64)
    )
    batches = read_examples(numbers, (images, labels), size, config.seed, lambda i: i * size)
    if images.dtype != np.uint8:  # Of the values, only those of the first images are checked here.
        batches = batches.map(lambda images, labels: (check_range(images), labels))
    counts = np.bincount(labels, minlength=config.num_classes).tolist()
    return Feed(group_turns(batches, d_steps), steps_per_epoch or len(images) // needed, counts)


def feed_dataset(
    dataset: tf.data.Dataset,
    config: Config,
    steps_per_epoch: int | None,
    class_counts: Sequence[int] | None,
) -> Feed:
    """Feeds a dataset in its own order, batched anew to the size of the model's steps.

    Args:
        dataset: of `images` or `(images, labels)`, single or in batches of any size.
        config: of the model.
        steps_per_epoch: None: one pass. Otherwise, the dataset repeats.
        class_counts: images of each class, or None.

    Raises:
        ValueError: if images or labels do not fit the model, or are too few for a step.
    """
    is_batched, has_labels = check_elements(dataset.element_spec, config.image_set)
    if steps_per_epoch:
        dataset = dataset.repeat()
    size, classes, shape = config.batch_size, config.num_classes, config.image_set.image_shape
    batch = dataset.rebatch if is_batched else dataset.batch
    batches = batch(size, drop_remainder=True)

    def with_labels(images, *labels):
        if images.dtype != tf.uint8:
            images = check_range(tf.cast(images, tf.float32))
        images = tf.ensure_shape(images, [size, *shape])
        if not has_labels or not classes:
            return images, tf.zeros([size], tf.int32)
        numbers = check_labels(tf.cast(labels[0], tf.int64), tf.constant(size), classes)
        return images, tf.ensure_shape(numbers, [size])

    first = [*batches.take(config.d_steps)]
    check_count(len(first) * size, size * config.d_steps)
    images, *labels = first[0] if isinstance(first[0], tuple) else first[:1]
    check_images(images.numpy(), shape)
    if has_labels and classes:
        check_label_array(labels[0].numpy(), size, classes)
    paired = batches.map(with_labels, num_parallel_calls=2, deterministic=True)
    counts = None if class_counts is None else [*class_counts]
    return Feed(group_turns(paired, config.d_steps), steps_per_epoch, counts)


def group_turns(batches: tf.data.Dataset, d_steps: int) -> tf.data.Dataset:
    """Groups pairs of images and labels into tuples of `d_steps` pairs."""

    def as_pairs(images, labels):
        return tuple(zip(tf.unstack(images), tf.unstack(labels), strict=True))

    return batches.batch(d_steps, drop_remainder=True).map(as_pairs).prefetch(2)


def check_range(images: tf.Tensor) -> tf.Tensor:
    """The images; a value outside of [-1, 1], or NaN, is an error of the graph."""
    within = tf.reduce_all(tf.abs(images) <= 1 + ROUNDING)
    found = tf.stack([tf.reduce_min(images), tf.reduce_max(images)])
    text = tf.strings.format("expected floats in [-1, 1]. Received: {}", found)
    with tf.control_dependencies([tf.debugging.Assert(within, [text])]):
        return tf.identity(images)


@contextlib.contextmanager
def explain_mistakes() -> Iterator[None]:
    """Turns what the checks within a dataset find into a `ValueError` of one line."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r"expected (?:labels|floats) in .*Received: \[[^\]\n]*\]", error.message)
        if not found:
            raise
        raise ValueError(found[0]) from None


def check_elements(spec: Any, image_set: ImageSet) -> tuple[bool, bool]:
    """Whether the elements of a dataset are batches, and whether they have labels.

    Raises:
        ValueError: if they are not images, or images and labels, that fit the model.
    """
    parts = spec if isinstance(spec, tuple) else (spec,)
    tensors = all(isinstance(part, tf.TensorSpec) for part in parts)
    ranks = [part.shape.rank for part in parts] if tensors else []
    if ranks not in ([3], [4], [3, 0], [4, 1]):
        raise ValueError(
            "expected a dataset of images [H, W, C] or [n, H, W, C], alone or as (images, labels) "
            f"with a number for each image. Received: {spec}"
        )
    check_shape(parts[0].shape[-3:], image_set.image_shape)
    if image_set.num_classes and len(parts) == 1:
        raise_no_labels(image_set.num_classes)
    if not image_set.num_classes and len(parts) == 2:
        warn_ignored()
    return ranks[0] == 4, len(parts) == 2


def check_shape(found: Any, expected: tuple[int, ...]) -> None:
    """Raises a `ValueError` if a shape of images, of which parts may be unknown, cannot fit."""
    if not tf.TensorShape(expected).is_compatible_with(tf.TensorShape(found)):
        raise ValueError(
            f"expected images of shape {expected}, as image_size and image_channels say. "
            f"Received: {tuple(found)}"
        )


def check_images(images: np.ndarray, image_shape: tuple[int, ...], most: int | None = None) -> None:
    """Checks that images are levels, or floats in [-1, 1], of the model's shape.

    Args:
        images: of any type and shape.
        image_shape: height, width and channels of the model's images.
        most: images whose values are checked; None: all.

    Raises:
        ValueError: if not.
    """
    if np.ndim(images) != 4:
        raise ValueError(f"expected images [n, H, W, C]. Received: shape={np.shape(images)}")
    check_shape(images.shape[1:], image_shape)
    if images.dtype == np.uint8:
        return
    if images.dtype.kind != "f" and images.dtype.name != "bfloat16":
        raise ValueError(
            "expected images as uint8 levels or floats in [-1, 1]; levels of another type need "
            f"images.astype('uint8'). Received: {images.dtype}"
        )
    some = images[:most]
    if not len(some):
        return
    low, high = float(np.min(some)), float(np.max(some))
    if not (-1 - ROUNDING <= low <= high <= 1 + ROUNDING):
        raise ValueError(
            "expected floats in [-1, 1]; levels from 0 to 255 must be uint8: "
            f"images.astype('uint8'). Received: values in [{low:g}, {high:g}]"
        )
    if low >= 0:
        raise ValueError(
            "expected floats in [-1, 1]; images in [0, 1] become that by images * 2 - 1. "
            f"Received: no value below 0, values in [{low:g}, {high:g}]"
        )


def check_label_array(labels: Any, count: int, num_classes: int) -> np.ndarray:
    """Labels as int32 `[count]`; all 0 for a model without classes.

    Raises:
        ValueError: if a model with classes gets no labels, or others than numbers of its classes.
    """
    if not num_classes:
        if labels is not None:
            warn_ignored()
        return np.zeros(count, np.int32)
    if labels is None:
        raise_no_labels(num_classes)
    labels = np.asarray(labels)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"expected labels as {count} ints, one for each image. "
            f"Received: shape={labels.shape}, dtype={labels.dtype}"
        )
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if len(outside):
        raise ValueError(f"expected labels in 0...{num_classes - 1}. Received: {outside[0]}")
    return labels.astype(np.int32)


def raise_no_labels(num_classes: int) -> None:
    """Raises the `ValueError` of a model with classes that gets images alone."""
    raise ValueError(
        f"expected labels of {num_classes} classes with the images; num_classes=0 makes a "
        "model without classes. Received: no labels"
    )


def warn_ignored() -> None:
    """Warns that a model without classes ignores labels."""
    warnings.warn("labels are ignored, because num_classes=0", stacklevel=4)


def check_count(count: int, needed: int) -> None:
    """Raises a `ValueError` if there are too few images for one step."""
    if count < needed:
        raise ValueError(
            f"expected at least {needed} images, batch_size times d_steps. Received: {count}"
        )
