"""Preprocessing, the forms of the Inception network, and networks trained on the data."""

import concurrent.futures
import sys
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from PIL import Image

from keras_sagan.errors import RunError, UsageError
from keras_sagan.extractors import trained
from keras_sagan.extractors.extractor import antialias_resize, legacy_resize, preprocess
from keras_sagan.extractors.frozen import load_frozen
from keras_sagan.extractors.inception import inception
from keras_sagan.extractors.tasks import CLASSES, ROTATIONS
from keras_sagan.extractors.trained import train_extractor, train_once
from keras_sagan.metrics.protocol import NATIVE, PROTOCOLS

RNG = np.random.default_rng(0)
TFGAN, TTUR, CLEAN = (PROTOCOLS[name] for name in ("tfgan", "ttur", "clean"))


def levels(size, count=2, channels=3):
    return RNG.integers(0, 256, (count, size, size, channels)).astype(np.float32)


def formula(images, size):
    """Legacy bilinear in float32: pixel i comes from i * old / new, in x, then in y."""
    old = images.shape[1]
    scale = np.float32(old) / np.float32(size)
    places = np.arange(size, dtype=np.float32) * scale
    weight, low = np.modf(places)
    low = low.astype(int)
    high = np.minimum(low + 1, old - 1)
    top, bottom = images[:, low], images[:, high]
    x = weight[None, None, :, None]
    top, bottom = (row[:, :, low] + (row[:, :, high] - row[:, :, low]) * x for row in (top, bottom))
    return top + (bottom - top) * weight[None, :, None, None]


@pytest.mark.parametrize("size", [1, 16, 32, 128, 299, 512])
def test_legacy_resize_is_its_formula_bit_for_bit(size):
    images = levels(size)
    resized = legacy_resize(images).numpy()
    np.testing.assert_array_equal(resized, formula(images, 299))
    if size == 299:
        np.testing.assert_array_equal(resized, images)


def test_todays_resize_is_another_one():
    images = levels(64)
    difference = np.abs(legacy_resize(images) - tf.image.resize(images, [299, 299]))
    assert difference.mean() > 5


@pytest.mark.parametrize("size", [64, 400])
def test_antialias_resize_is_pillows(size):
    images = levels(size, count=1)
    expected = [
        Image.fromarray(images[0, ..., i], "F").resize((299, 299), Image.Resampling.BICUBIC)
        for i in range(3)
    ]
    expected = np.clip(np.stack(expected, axis=-1), 0, 255)
    np.testing.assert_allclose(antialias_resize(images)[0], expected, atol=5e-3)


def test_protocols_quantize_and_scale_as_they_say():
    images = np.array([-1.2, -1, -0.5, 0, 0.00393, 1, 1.2], np.float32).reshape(1, 1, 7, 1)
    as_file = np.array([0, 0, 64, 128, 128, 255, 255]).reshape(1, 1, 7, 1)  # Half up.
    np.testing.assert_allclose(preprocess(images, NATIVE), as_file / 127.5 - 1, atol=1e-6)
    exact = preprocess(images, TFGAN)[0, 0, :, 0]  # Not quantized, but clipped.
    np.testing.assert_allclose(exact[0], -1, atol=1e-6)
    image = RNG.uniform(-1, 1, (1, 299, 299, 1)).astype(np.float32)
    np.testing.assert_allclose(preprocess(image, TFGAN), np.repeat(image, 3, -1), atol=1e-6)
    expected = (np.floor((image + 1) * 127.5 + 0.5) - 128) / 128
    np.testing.assert_allclose(preprocess(image, TTUR), np.repeat(expected, 3, -1), atol=1e-6)


@pytest.mark.parametrize("scale_after", [True, False])
def test_frozen_graph_is_what_tensorflow_1_made_of_it(scale_after):
    """The original graph, removed operation and all, in a session: one image at a time."""
    graph = toys.frozen_graph(scale_after)
    images = levels(299)
    scaled = (images - 128) / 128
    features, logits = load_frozen(graph.SerializeToString(), "toy")(scaled)
    with tf.Graph().as_default():
        tf.graph_util.import_graph_def(graph, name="")
        with tf.compat.v1.Session() as session:
            original = [
                session.run("pool_3:0", {"ExpandDims:0": image[None]}).ravel() for image in images
            ]
    np.testing.assert_allclose(features, original, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(logits, original @ toys.HEAD, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(features, toys.expected(scaled, scale_after)[0], rtol=1e-4)


def test_frozen_graph_can_be_compiled_for_any_batch():
    network = load_frozen(toys.frozen_graph().SerializeToString(), "toy")
    images = tf.constant(levels(299, count=3) / 128 - 1)
    expected = network(images)[0]
    compiled = tf.function(network, jit_compile=True)
    np.testing.assert_allclose(compiled(images)[0], expected, atol=1e-5)
    np.testing.assert_allclose(network(images[:1])[0], expected[:1], atol=1e-6)


def test_graph_without_a_scaling_node_is_fed_pixels():
    scaled = levels(299) / 128 - 1
    graph = toys.frozen_graph()
    for node in graph.node:  # The same operations under other names.
        node.name = {"Mul": "scaled"}.get(node.name, node.name)
        node.input[:] = [{"Mul": "scaled"}.get(name, name) for name in node.input]
    features, _ = load_frozen(graph.SerializeToString(), "toy")(scaled)
    np.testing.assert_allclose(features, toys.expected(scaled)[0], rtol=1e-4)


@pytest.mark.parametrize("form", toys.FORMS)
@pytest.mark.parametrize("protocol", [TFGAN, TTUR, CLEAN], ids=lambda protocol: protocol.name)
def test_every_form_of_the_network_sees_the_protocols_images(form, protocol, tmp_path):
    path = tmp_path / form
    toys.FORMS[form](path)
    extractor = inception(str(path), protocol)
    images = RNG.uniform(-1, 1, (3, 16, 16, 1)).astype(np.float32)
    features, logits = extractor(images)
    expected = toys.expected(preprocess(images, protocol).numpy())
    np.testing.assert_allclose(features, expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits, expected[1], rtol=1e-4, atol=1e-4)
    assert extractor.record["widths"] == (toys.FEATURES, toys.CLASSES)
    assert len(extractor.record["sha256"]) == 64
    # Not the real network's widths: no distance of it is called FID.
    assert not extractor.inception
    sha256 = extractor.record["sha256"]
    assert extractor.name == f"graph-{sha256[:8]}-{protocol.name}"


def test_network_of_inceptions_widths_is_called_by_its_protocol(tmp_path, monkeypatch):
    toys.write_frozen(tmp_path / "graph.pb")
    monkeypatch.setattr(sys.modules[inception.__module__], "WIDTHS", (toys.FEATURES, toys.CLASSES))
    extractor = inception(str(tmp_path / "graph.pb"), TFGAN)
    assert (extractor.inception, extractor.name) == (True, "tfgan")


def test_missing_network_says_where_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Inception network at .*: download http"):
        inception(str(tmp_path / "inception.tgz"), TFGAN)


def text(path):
    path.write_text("no graph")


def other_graph(path):
    path.write_bytes(toys.frozen_graph(without=("pool_3",)).SerializeToString())


def empty_folder(path):
    path.mkdir()


def broken_archive(path):
    toys.write_archive(path)
    path.write_bytes(path.read_bytes()[:200])


def broken_keras(path):
    path.write_text("no zip")


def keras_with_code(path):
    """A layer that is a pickled function, which `safe_mode` refuses."""
    images = keras.Input((299, 299, 3))
    keras.Model(images, keras.layers.Lambda(lambda images: images * 2)(images)).save(path)


def saved_model_without_logits(path):
    module = tf.Module()
    module.__call__ = tf.function(
        lambda images: {"pool_3": images},
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
    )
    tf.saved_model.save(module, str(path))


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (text, "a.pb", "expected a frozen graph"),
        (other_graph, "a.pb", "2015 Inception graph, .* without pool_3"),
        (empty_folder, "a", "expected a SavedModel"),
        (broken_archive, "a.tgz", "a.tgz"),
        (broken_keras, "a.keras", "expected a Keras model"),
        (keras_with_code, "a.keras", "(?s)expected a Keras model.*unsafe"),
        (saved_model_without_logits, "a", r"gives pool_3 and logits. .* giving \['pool_3'\]"),
    ],
)
def test_files_that_are_no_network_are_named(write, name, message, tmp_path):
    write(tmp_path / name)
    with pytest.raises(UsageError, match=message):
        inception(str(tmp_path / name), TFGAN)


def test_url_goes_to_tensorflow_hub(tmp_path, monkeypatch):
    url = "https://example.org/inception"
    with pytest.raises(UsageError, match="needs the package tensorflow-hub"):
        inception(url, TFGAN)
    toys.write_saved_model(tmp_path / "a")
    hub = types.ModuleType("tensorflow_hub")
    hub.load = {url: tf.saved_model.load(str(tmp_path / "a"))}.__getitem__
    monkeypatch.setitem(sys.modules, "tensorflow_hub", hub)
    images = RNG.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    features, _ = inception(url, TFGAN)(images)
    expected = toys.expected(preprocess(images, TFGAN).numpy())[0]
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def stripes(count):
    """Two classes: vertical and horizontal stripes, with noise."""
    labels = RNG.integers(0, 2, count).astype(np.int32)
    stripe = np.tile([0.0, 200.0], 8)
    images = np.where(labels[:, None, None] == 0, stripe[None, None, :], stripe[None, :, None])
    images = images + RNG.uniform(0, 50, (count, 16, 16))
    return images[..., None].astype(np.uint8), labels


@pytest.mark.slow
def test_classifier_learns_and_is_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 40)
    images, labels = stripes(400)
    sha256 = "0" * 64
    strategy = tf.distribute.get_strategy()
    first = train_extractor(CLASSES, images, labels, sha256, tmp_path / "a", strategy)
    assert first.record["test_accuracy"] == 1
    scaled = images / np.float32(127.5) - 1
    features, logits = first(scaled)
    assert features.shape == (400, 128)
    np.testing.assert_array_equal(np.argmax(logits, axis=1), labels)
    again = train_extractor(CLASSES, images, labels, sha256, tmp_path / "b", strategy)
    assert again.record == first.record
    assert again.name == first.name == f"classifier-{first.record['sha256'][:8]}"
    monkeypatch.setattr(trained, "train_network", None)  # Kept: it is not trained again.
    kept = train_extractor(CLASSES, images, labels, sha256, tmp_path / "a", strategy)
    np.testing.assert_array_equal(kept(scaled)[0], features)
    with pytest.raises(TypeError):  # Not that of other data.
        train_extractor(CLASSES, images, labels, "1" * 64, tmp_path / "a", strategy)
    monkeypatch.undo()
    (file,) = (tmp_path / "a" / "classifiers").glob("*.npz")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(RunError, match="remove it to train it again"):
        train_extractor(CLASSES, images, labels, sha256, tmp_path / "a", strategy)


@pytest.mark.parametrize("task", [CLASSES, ROTATIONS], ids=lambda task: task.name)
def test_of_two_that_need_a_network_at_once_one_trains_it(task, tmp_path, monkeypatch, capfd):
    train, calls = trained.train_network, []

    def slow(*arguments):
        calls.append(arguments)
        time.sleep(0.5)
        return train(*arguments)

    monkeypatch.setattr(trained, "STEPS", 1)
    monkeypatch.setattr(trained, "train_network", slow)
    images, labels = stripes(100)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = [pool.submit(train_once, task, images, labels, "0" * 64, tmp_path) for _ in range(2)]
    assert jobs[0].result() == jobs[1].result()
    assert len(calls) == 1
    assert f"waiting: another process trains a {task.noun} here" in capfd.readouterr().err
    assert [path.suffix for path in (tmp_path / task.folder).iterdir()].count(".npz") == 1


def test_classifier_is_tested_on_images_that_it_was_not_shown(tmp_path, monkeypatch):
    """The last fifth is a class of its own, of black images."""
    monkeypatch.setattr(trained, "STEPS", 40)
    images, labels = stripes(400)
    images[320:], labels[320:] = 0, 2
    made = train_extractor(
        CLASSES, images, labels, "0" * 64, tmp_path, tf.distribute.get_strategy()
    )
    assert made.record["test_accuracy"] == 0


def test_a_single_class_needs_another_extractor(tmp_path):
    part = "labels of at least two classes; use --extractor=rotation. Received: 1 class"
    with pytest.raises(UsageError, match=part):
        train_extractor(
            CLASSES,
            np.zeros((9, 16, 16, 1), np.uint8),
            np.zeros(9, int),
            "0",
            tmp_path,
            tf.distribute.get_strategy(),
        )
