"""A small classifier of a data set: the extractor for images that are not ImageNet's."""

import contextlib
import hashlib
import os
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf

from keras_sagan.errors import RunError, UsageError
from keras_sagan.extractors.extractor import Extractor
from keras_sagan.metrics.protocol import NATIVE

# Width of the features: small, since a covariance needs several times as many images.
FEATURES = 128
BATCH, STEPS, LEARNING_RATE = 64, 1500, 1e-3
# Images it learns from and is tested on at most, which makes it a matter of minutes for any set.
MOST = 60_000
# Counts changes of the network or its training; part of the cache's key.
VERSION = 1


def classifier(images, labels, data_sha256, data_dir, strategy):
    """The classifier of a data set, trained on first use and kept under `data_dir`.

    Scores by it compare with those by the same file: copy the folder `classifiers` to compare runs
    on several machines.

    Args:
        images: uint8 `[N, H, W, C]`, in an order that says nothing of the classes. It learns from
            the first four fifths and is tested on the rest.
        labels: int `[N]`.
        data_sha256: str, hash of both.
        data_dir: folder of data.
        strategy: `tf.distribute.Strategy` of whose replicas it will be called. Call this outside
            of its scope.

    Raises:
        UsageError: if there are fewer than two classes.
        RunError: if it cannot be written, or what is there cannot be read.
    """
    path = trained(images, labels, data_sha256, data_dir)
    with strategy.scope():
        network = build(images.shape[1:], int(np.max(labels)) + 1)
    accuracy = load(path, network)
    sha256 = hashlib.sha256(b"".join(w.tobytes() for w in network.get_weights())).hexdigest()
    record = {"network": "classifier", "sha256": sha256, "test_accuracy": accuracy}
    return Extractor(f"classifier-{sha256[:8]}", False, True, NATIVE, network, record)


def trained(images, labels, data_sha256, data_dir):
    """Path of the classifier's file, which it writes on first use; as `classifier`."""
    classes = int(np.max(labels)) + 1
    if classes < 2:
        raise UsageError(
            "the extractor classifier needs labels of at least two classes; use "
            f"--extractor=inception:PATH. Received: {classes} class"
        )
    path = pathlib.Path(data_dir) / "classifiers" / f"{data_sha256[:16]}-v{VERSION}.npz"
    if not path.exists():
        with tf.device("CPU:0"):  # Where the same machine adds in the same order each time.
            network = build(images.shape[1:], classes)
            save(path, network, train(network, images[:MOST], labels[:MOST]))
    return path


def build(shape, classes):
    """Convolutions down to 4x4, a layer of features, a layer of logits: a `keras.Model`."""
    images = outputs = keras.Input(shape)
    filters, size = 32, shape[0]
    relu = {"padding": "same", "activation": "relu"}
    outputs = keras.layers.Conv2D(filters, 3, **relu)(outputs)
    while size > 4:
        filters, size = min(2 * filters, 128), size // 2
        outputs = keras.layers.Conv2D(filters, 3, strides=2, **relu)(outputs)
    outputs = keras.layers.Flatten()(outputs)
    features = keras.layers.Dense(FEATURES, activation="relu")(outputs)
    return keras.Model(images, [features, keras.layers.Dense(classes)(features)])


def train(network, images, labels):
    """Fits `network`; returns its accuracy on the last fifth.

    The same numbers on every call on one machine. Others, with more or other cores, round
    otherwise and make another classifier, of another name.
    """
    split = len(images) * 4 // 5
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            fan_in = np.prod(kernel.shape[:-1])
            drawn = rng.normal(size=kernel.shape) * np.sqrt(2 / fan_in)
            layer.set_weights([drawn.astype(np.float32), np.zeros_like(bias)])
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(network.trainable_variables)

    @tf.function
    def step(batch, wanted):
        with tf.GradientTape() as tape:
            _, logits = network(scaled(batch))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, network.trainable_variables))

    for _ in range(STEPS):
        chosen = np.sort(rng.choice(split, min(BATCH, split), replace=False))
        step(images[chosen], labels[chosen])
    hits = 0
    for i in range(split, len(images), 512):
        _, logits = network(scaled(images[i : i + 512]))
        hits += np.sum(np.argmax(logits, axis=1) == labels[i : i + 512])
    return float(hits / (len(images) - split))


def scaled(images):
    return tf.cast(images, tf.float32) / 127.5 - 1


def save(path, network, accuracy):
    """Writes the weights, unless another process was faster: then its classifier is the one."""
    weights = {f"weight_{i}": weight for i, weight in enumerate(network.get_weights())}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp") as file:
            np.savez(file, test_accuracy=accuracy, **weights)
            file.flush()
            os.chmod(file.name, 0o644)
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    except OSError as error:
        raise RunError(f"the classifier cannot be written to {path}: {error}") from error


def load(path, network):
    """Reads the weights; returns the test accuracy beside them."""
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            weights = [arrays[f"weight_{i}"] for i in range(len(network.weights))]
            network.set_weights(weights)
            return float(arrays["test_accuracy"])
    except Exception as error:  # zipfile, zlib and NumPy's readers have many kinds between them.
        raise RunError(
            f"the classifier in {path} cannot be read; remove it to train it again. "
            f"Received: {error}"
        ) from error
