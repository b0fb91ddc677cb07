"""The digits, their preparation, and the order of batches."""

import concurrent.futures
import json
import time

import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data import prepare as preparation
from keras_sagan.data.batches import examples, make_iterator
from keras_sagan.data.prepare import prepare
from keras_sagan.errors import RunError, UsageError

ONE = tf.distribute.MirroredStrategy(["CPU:0"])


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data"))


def config(data_dir, **changes):
    settings = {"image_size": 16, "image_channels": 1, "batch_size": 6}
    return Config(data_dir=data_dir, **settings | changes)


def test_digits_are_those_of_scikit_learn(data_dir):
    prepared = prepare(config(data_dir))
    assert prepared.images.shape == (1797, 16, 16, 1)
    assert prepared.images.dtype == np.uint8
    assert isinstance(prepared.images, np.memmap)
    digits = sklearn.datasets.load_digits()
    np.testing.assert_array_equal(np.bincount(prepared.labels), np.bincount(digits.target))
    # Shrunk back, each is one of the source's images, with its label.
    small = prepared.images.reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4)).reshape(-1, 64)
    source = digits.images.reshape(-1, 64) * (255 / 16)
    for i in range(0, 1797, 100):
        nearest = np.argmin(((source - small[i]) ** 2).sum(axis=1))
        assert digits.target[nearest] == prepared.labels[i]


def test_record_names_source_and_preprocessing(data_dir):
    record = prepare(config(data_dir)).record
    assert record["count"] == 1797
    assert record["num_classes"] == 10
    assert "TFDS builder digits 1.0.0" in record["source"]
    assert "bicubic" in record["preprocessing"]


def test_channels_are_repeated_for_color_networks(data_dir):
    gray = prepare(config(data_dir)).images
    color = prepare(config(data_dir, image_channels=3)).images
    np.testing.assert_array_equal(color, np.repeat(gray, 3, axis=-1))


def test_preparation_happens_once(data_dir, monkeypatch):
    prepare(config(data_dir))
    monkeypatch.setattr(preparation, "SOURCES", {})
    prepare(config(data_dir))


def test_interrupted_preparation_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(settings):
        raise KeyboardInterrupt

    def full(*arguments):
        raise OSError(28, "No space left on device")

    settings = config(str(tmp_path), dataset="synthetic")
    monkeypatch.setitem(preparation.SOURCES, "synthetic", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(settings)
    monkeypatch.undo()
    monkeypatch.setattr(np, "save", full)
    with pytest.raises(RunError, match="data cannot be prepared in .* No space left"):
        prepare(settings)
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == [".lock"]
    monkeypatch.undo()
    assert len(prepare(settings).images) == 1024


def test_of_two_preparations_at_once_the_second_waits(tmp_path, monkeypatch):
    settings = config(str(tmp_path), dataset="synthetic")
    source, calls = preparation.SOURCES["synthetic"], []

    def slow(inner):
        calls.append(inner)
        time.sleep(0.5)
        return source(inner)

    monkeypatch.setitem(preparation.SOURCES, "synthetic", slow)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(prepare, [settings, settings]))
    assert len(calls) == 1
    np.testing.assert_array_equal(results[0].images, results[1].images)


def test_broken_set_is_named(tmp_path):
    settings = config(str(tmp_path), dataset="synthetic")
    prepare(settings)
    (folder,) = (tmp_path / "prepared").glob("synthetic*")
    for text in ("{", "{}", "[]"):
        (folder / "dataset.json").write_text(text)
        with pytest.raises(RunError, match="cannot be read; remove it to prepare it again"):
            prepare(settings)


def test_other_classes_are_refused_and_none_are_fine(data_dir):
    with pytest.raises(UsageError, match="num_classes must be 10, .* Received: 12"):
        prepare(config(data_dir, num_classes=12))
    assert len(prepare(config(data_dir, num_classes=0)).images) == 1797


@pytest.mark.parametrize("classes", [0, 7])
def test_synthetic_images(tmp_path, classes):
    prepared = prepare(config(str(tmp_path), dataset="synthetic", num_classes=classes))
    assert prepared.images.shape == (1024, 16, 16, 1)
    assert prepared.labels.max() == max(classes - 1, 0)
    assert json.loads(json.dumps(prepared.record))["count"] == 1024


def test_each_example_stands_once_in_each_epoch():
    stream = examples(0, 30, 10, seed=0)
    for epoch in stream.reshape(3, 10):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(10))
    assert len({tuple(epoch) for epoch in stream.reshape(3, 10)}) == 3


def test_order_depends_on_place_and_seed_alone():
    stream = examples(0, 30, 10, seed=0)
    for start, length in ((0, 7), (7, 7), (8, 15)):
        np.testing.assert_array_equal(
            examples(start, length, 10, seed=0), stream[start : start + length]
        )
    assert not np.array_equal(examples(0, 30, 10, seed=1), stream)


def first_batches(strategy, settings, start, count):
    """Global batches: the replicas' shares joined."""
    iterator = make_iterator(strategy, prepare(settings), settings, start)
    batches = []
    for _ in range(count):
        images, labels = next(iterator)
        batches.append(
            tuple(
                np.concatenate([np.asarray(v) for v in strategy.experimental_local_results(part)])
                for part in (images, labels)
            )
        )
    return batches


def test_batches_are_the_stream_for_one_and_two_replicas(data_dir, two_replicas):
    settings = config(data_dir)
    prepared = prepare(settings)
    one = first_batches(ONE, settings, 0, 4)
    two = first_batches(two_replicas, settings, 0, 4)
    for i in range(4):
        indices = examples(6 * i, 6, 1797, settings.seed)
        for images, labels in (one[i], two[i]):
            np.testing.assert_array_equal(images, prepared.images[indices])
            np.testing.assert_array_equal(labels, prepared.labels[indices])


def test_batches_go_on_from_any_step(data_dir, two_replicas):
    settings = config(data_dir)
    for strategy in (ONE, two_replicas):
        ahead = first_batches(strategy, settings, 3, 1)[0]
        straight = first_batches(strategy, settings, 0, 4)[3]
        np.testing.assert_array_equal(ahead[0], straight[0])
        np.testing.assert_array_equal(ahead[1], straight[1])
