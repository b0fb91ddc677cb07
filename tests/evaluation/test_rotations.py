"""A network that tells rotations: what it is shown, what it learns, and where it learns nothing."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.errors import UsageError
from keras_sagan.evaluation.score_rows import describe_test
from keras_sagan.extractors import trained
from keras_sagan.extractors.tasks import CLASSES, ROTATIONS, rotate_images
from keras_sagan.extractors.trained import network_path, train_extractor, train_once

ONE = tf.distribute.get_strategy()
SHA256 = "0" * 64


def skies(count, size=16):
    """Noise that is brighter in the upper half, and labels without meaning."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (count, size, size, 1), np.uint8)
    images[:, : size // 2] += 120
    return images, np.zeros(count, np.int32)


def test_every_image_is_rotated_by_all_quarter_turns():
    images = np.arange(2 * 3 * 3 * 2).reshape(2, 3, 3, 2)
    examples, turns = rotate_images(images, np.array([7, 8]))
    np.testing.assert_array_equal(turns, [0, 0, 1, 1, 2, 2, 3, 3])
    for place, example in enumerate(examples):
        for channel in range(2):
            expected = np.rot90(images[place % 2, ..., channel], turns[place])
            np.testing.assert_array_equal(example[..., channel], expected)
    counterclockwise, _ = rotate_images(np.array([[1, 2], [3, 4]]).reshape(1, 2, 2, 1), np.zeros(1))
    np.testing.assert_array_equal(counterclockwise[1, ..., 0], [[2, 4], [1, 3]])


def test_it_learns_without_labels_and_is_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 30)
    images, labels = skies(200)
    first = train_extractor(ROTATIONS, images, labels, SHA256, tmp_path / "a", ONE)
    assert first.name == f"rotation-{first.record['sha256'][:8]}"
    assert first.predicts == "rotations"
    assert (first.record["test_accuracy"], first.record["test_images"]) == (1, 40)
    examples, turns = rotate_images(images, labels)
    features, logits = first(examples / np.float32(127.5) - 1)
    assert features.shape == (800, 128)
    np.testing.assert_array_equal(np.argmax(logits, axis=1), turns)
    others = np.arange(200) % 3
    again = train_extractor(ROTATIONS, images, others, SHA256, tmp_path / "b", ONE)
    assert again.record == first.record
    monkeypatch.setattr(trained, "train_network", None)  # Kept: it is not trained again.
    kept = train_extractor(ROTATIONS, images, labels, SHA256, tmp_path / "a", ONE)
    assert kept.record == first.record


def test_it_is_tested_on_images_that_it_was_not_shown(tmp_path, monkeypatch):
    """The last fifth is upside down, and of levels that tell it from the others."""
    monkeypatch.setattr(trained, "STEPS", 30)
    images, labels = skies(200)
    images[160:, :8], images[160:, 8:] = 0, 255
    made = train_extractor(ROTATIONS, images, labels, SHA256, tmp_path, ONE)
    assert made.record["test_accuracy"] == 0


def test_images_that_look_the_same_when_rotated_leave_chance(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 2)
    levels = np.random.default_rng(0).integers(0, 256, (50, 1, 1, 1), np.uint8)
    images = np.tile(levels, (1, 16, 16, 1))
    made = train_extractor(ROTATIONS, images, np.zeros(50, int), SHA256, tmp_path, ONE)
    assert made.record["test_accuracy"] == 0.25
    expected = "25.0% accuracy on rotations of held-out real images (only 10), 25% by chance"
    assert describe_test(made.record) == expected


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_few_images_suffice_to_train_and_test_it(count, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 2)
    made = train_extractor(ROTATIONS, *skies(count), SHA256, tmp_path, ONE)
    assert 0 <= made.record["test_accuracy"] <= 1
    assert made.record["test_images"] == 1
    assert np.isfinite(made.features(skies(count)[0])).all()


def test_one_image_is_too_few(tmp_path):
    with pytest.raises(UsageError, match="rotation needs at least two images.* Received: 1$"):
        train_once(ROTATIONS, *skies(1), SHA256, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_both_networks_of_the_same_data_have_files(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 1)
    images, labels = skies(20)[0], np.arange(20) % 2
    paths = [train_once(task, images, labels, SHA256, tmp_path) for task in (CLASSES, ROTATIONS)]
    assert [path.parent.name for path in paths] == ["classifiers", "rotations"]
    assert paths[1] == network_path(ROTATIONS, SHA256, tmp_path)
    with np.load(paths[1]) as file:
        assert [*file.values()][-1].shape == (4,)


@pytest.mark.parametrize("task", [CLASSES, ROTATIONS], ids=lambda task: task.name)
def test_both_tasks_take_as_long(task, tmp_path, monkeypatch):
    """All rotations of an image are in one step, which has as many examples as one of classes."""
    monkeypatch.setattr(trained, "STEPS", 3)
    counts = []

    def noted(images, labels):
        examples, wanted = task.make_examples(images, labels)
        counts.append(len(examples))
        return examples, wanted

    images, labels = skies(200)[0], np.arange(200) % 2
    spied = dataclasses.replace(task, make_examples=noted)
    train_once(spied, images, labels, SHA256, tmp_path)
    assert counts == [64] * 3 + [40 * task.copies]
