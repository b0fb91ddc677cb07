"""Images of any form as the batches of steps, and the mistakes that are found before training."""

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.api.feeding import explain_mistakes, feed_arrays, feed_dataset
from keras_sagan.config import Config
from keras_sagan.data.batches import example_indices

CONFIG = Config(image_size=16, image_channels=1, num_classes=3, batch_size=4, d_steps=2, seed=5)
PLAIN = Config(image_size=16, image_channels=1, num_classes=0, batch_size=4)
IMAGES = np.random.default_rng(0).integers(0, 256, (19, 16, 16, 1), np.uint8)
FLOATS = IMAGES.astype(np.float32) / np.float32(127.5) - 1
LABELS = np.arange(19) % 3
slices = tf.data.Dataset.from_tensor_slices


def drawn(feed, count):
    """The first steps of a feed as arrays: images `[count, d_steps, B, ...]`, and labels."""
    steps = [*feed.dataset.take(count)]
    parts = [[[part.numpy() for part in turn] for turn in step] for step in steps]
    return tuple(np.array([[turn[i] for turn in step] for step in parts]) for i in range(2))


def test_arrays_come_in_the_order_of_train_from_the_present_step_on():
    step = tf.Variable(0, dtype=tf.int64)
    feed = feed_arrays(IMAGES, LABELS, CONFIG, step, None)
    assert feed.steps_per_epoch == 2  # Of 8 images, and 3 are left over.
    assert feed.class_counts == [7, 6, 6]
    step.assign(3)  # Read late, because callbacks restore weights after `fit` is called.
    images, labels = drawn(feed, 2)
    order = example_indices(3 * 8, 16, 19, seed=5).reshape(2, 2, 4)
    np.testing.assert_array_equal(images, IMAGES[order])
    np.testing.assert_array_equal(labels, LABELS[order])


@pytest.mark.parametrize("batch", [None, 3, 8])
def test_datasets_keep_their_order_in_batches_of_any_size(batch):
    dataset = slices((IMAGES, LABELS))
    feed = feed_dataset(dataset.batch(batch) if batch else dataset, CONFIG, None, [1, 2, 3])
    images, labels = drawn(feed, 9)
    np.testing.assert_array_equal(images.reshape(-1, 16, 16, 1), IMAGES[:16])
    np.testing.assert_array_equal(labels.ravel(), LABELS[:16])
    assert feed.class_counts == [1, 2, 3]


def test_a_dataset_repeats_if_the_number_of_steps_is_given():
    images, _ = drawn(feed_dataset(slices((IMAGES, LABELS)), CONFIG, 100, None), 3)
    np.testing.assert_array_equal(images.reshape(-1, 16, 16, 1)[19:], IMAGES[:5])


def test_floats_stay_and_images_alone_get_labels():
    floats = IMAGES.astype(np.float64) / 127.5 - 1
    images, labels = drawn(feed_dataset(slices((floats,)), PLAIN, None, None), 1)
    assert (images.dtype, labels.tolist()) == (np.float32, [[[0] * 4]])
    np.testing.assert_allclose(images[0, 0], floats[:4], atol=1e-6)
    feed = feed_arrays(floats, None, PLAIN, tf.Variable(tf.constant(0, tf.int64)), None)
    assert drawn(feed, 1)[0].dtype == np.float32


def test_labels_that_a_model_ignores_are_said_once():
    with pytest.warns(UserWarning, match="labels are ignored"):
        feed_dataset(slices((IMAGES, LABELS)), PLAIN, None, None)
    with pytest.warns(UserWarning, match="labels are ignored"):
        feed_arrays(IMAGES, LABELS, PLAIN, tf.Variable(0), None)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES / 255, LABELS, r"\[0, 1\] become that by images \* 2 - 1"),
        (IMAGES.astype("float32"), LABELS, r"images.astype\('uint8'\). Received: values in \[0, 2"),
        (np.where(IMAGES, np.nan, 0), LABELS, "floats in"),
        (IMAGES.astype("int32"), LABELS, "uint8 levels or floats in .* Received: .*int32"),
        (IMAGES[:, :8], LABELS, r"shape \(16, 16, 1\), as image_size .* Received: \(8, 16, 1\)"),
        (IMAGES[:7], LABELS[:7], "at least 8 images, batch_size times d_steps. Received"),
        (IMAGES, LABELS + 1, r"labels in 0\.\.\.2. Received: 3"),
    ],
)
def test_mistakes_are_found_in_arrays_and_in_datasets(images, labels, message):
    with pytest.raises(ValueError, match=message):
        feed_arrays(images, labels, CONFIG, tf.Variable(0), None)
    with pytest.raises(ValueError, match=message):
        feed_dataset(slices((images, labels)), CONFIG, None, None)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[0], LABELS, r"images \[n, H, W, C\]. Received: shape=\(16, 16, 1\)"),
        (IMAGES, None, "labels of 3 classes with the images; num_classes=0"),
        (IMAGES, LABELS[:5], r"19 ints, one for each image. Received: shape=\(5,\)"),
        (IMAGES, np.eye(19), r"19 ints, one for each image. Received: shape=\(19, 19\)"),
        (IMAGES, LABELS.astype(float), "Received: shape=.*, dtype=float64"),
    ],
)
def test_mistakes_in_arrays(images, labels, message):
    with pytest.raises(ValueError, match=message):
        feed_arrays(images, labels, CONFIG, tf.Variable(0), None)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (slices({"image": IMAGES}), "expected a dataset of images"),
        (slices((IMAGES, LABELS, LABELS)), "expected a dataset of images"),
        (slices((IMAGES, np.eye(19))), "expected a dataset of images"),
        (slices((IMAGES, LABELS)).batch(4).batch(2), "expected a dataset of images"),
        (slices(IMAGES), "labels of 3 classes with the images"),
    ],
)
def test_mistakes_in_datasets(dataset, message):
    with pytest.raises(ValueError, match=message):
        feed_dataset(dataset, CONFIG, None, None)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, [0] * 18 + [3], r"^expected labels in 0\.\.\.2\. Received: \[3\]$"),
        (IMAGES, [0] * 18 + [-1], r"^expected labels in 0\.\.\.2\. Received: \[-1\]$"),
        (FLOATS + 2, LABELS, r"^expected floats in \[-1, 1\]\. Received: \[-1 3\]$"),
        (FLOATS * np.nan, LABELS, r"^expected floats in \[-1, 1\]\. Received: \[nan nan\]$"),
    ],
)
def test_a_later_mistake_stops_training_in_one_line(images, labels, message):
    if images is not IMAGES:  # Wrong in the last image alone.
        images = np.concatenate([FLOATS[:-1], images[-1:]])
    feed = feed_dataset(slices((images, labels)).repeat(), CONFIG, None, None)
    with pytest.raises(ValueError, match=message), explain_mistakes():
        drawn(feed, 3)


@pytest.mark.parametrize("fault", [2, np.nan])
def test_a_later_value_of_an_array_is_checked_too(fault):
    images = np.concatenate([FLOATS[:-1], np.full_like(FLOATS[-1:], fault)])
    feed = feed_arrays(images, LABELS, CONFIG, tf.Variable(tf.constant(0, tf.int64)), None)
    with pytest.raises(ValueError, match=r"^expected floats in"), explain_mistakes():
        drawn(feed, 4)
