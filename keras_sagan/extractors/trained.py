"""Small networks that learn a data set once: extractors for images unlike ImageNet's."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_sagan.errors import RunError, UsageError
from keras_sagan.extractors.extractor import Extractor
from keras_sagan.files import locked, remove_unfinished, written_whole
from keras_sagan.metrics.protocol import NATIVE
from keras_sagan.networks.network import channels_last
from keras_sagan.progress import say_line

# Width of the features. A covariance needs several times as many images, so it is small.
FEATURES = 128
BATCH, STEPS, LEARNING_RATE = 64, 1500, 1e-3
# The most images to train and test with: minutes are enough for any set.
MOST = 60_000
# Part of the file name. Increase it when the network or its training changes.
VERSION = 1
# Arrays of the networks that could not be written, by the paths of their files.
UNWRITTEN: dict[pathlib.Path, dict[str, np.ndarray]] = {}


@dataclasses.dataclass(frozen=True)
class Task:
    """What a network learns to tell about an image."""

    name: str  # Suffix of metrics, without the hash.
    noun: str  # What messages call the network.
    folder: str  # Name of the folder of its files.
    predicts: str  # As of `Extractor`.
    copies: int  # Number of examples made of an image.
    # Function of the labels of a set to the number of logits. It raises `UsageError` if the set has
    # nothing to learn.
    count_answers: Callable[[np.ndarray], int]
    # Function of images, uint8 `[n, H, W, C]`, and labels `[n]` to `copies` times as many images
    # and the index of the right logit of each.
    make_examples: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def train_extractor(
    task: Task,
    images: np.ndarray,
    labels: np.ndarray,
    data_sha256: str,
    data_dir: str | os.PathLike[str],
    strategy: tf.distribute.Strategy,
) -> Extractor:
    """The extractor of a task and a data set, which the first call trains and keeps in `data_dir`.

    Where it cannot be written, this process keeps it in memory, and a note says so.

    Only scores by the same file are comparable. To compare runs on several machines, copy the
    task's folder.

    Args:
        task: what the network learns.
        images: uint8 `[N, H, W, C]`, in an order unrelated to the classes. The first four fifths
            train the network, the rest test it.
        labels: int `[N]`; all 0 for images without classes.
        data_sha256: hash of both.
        data_dir: folder of all data.
        strategy: its replicas will call the extractor. Call this function outside of its scope.

    Raises:
        UsageError: if the data do not suffice for the task.
        RunError: if an existing network cannot be read.
    """
    path = train_once(task, images, labels, data_sha256, data_dir)
    with strategy.scope():
        network = build_network(images.shape[1:], task.count_answers(labels))
    accuracy = load_weights(task, path, network)
    sha256 = hashlib.sha256(b"".join(w.tobytes() for w in network.get_weights())).hexdigest()
    record = {
        "network": task.name,
        "sha256": sha256,
        "test_accuracy": accuracy,
        "test_images": len(images[:MOST]) - count_training(images[:MOST]),
    }
    return Extractor(f"{task.name}-{sha256[:8]}", False, task.predicts, NATIVE, network, record)


def train_once(task: Task, images, labels, data_sha256, data_dir) -> pathlib.Path:
    """The network's file, which the first call writes; arguments as of `train_extractor`.

    If it cannot be written, its arrays are in `UNWRITTEN`.
    """
    task.count_answers(labels)
    if len(images) < 2:
        raise UsageError(
            f"the extractor {task.name} needs at least two images, one of them for its test. "
            f"Received: {len(images)}"
        )
    path, arrays = network_path(task, data_sha256, data_dir), None
    if path.exists() or path in UNWRITTEN:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent / ".lock", f"trains a {task.noun}"):
            remove_unfinished(path.parent)
            if not path.exists():
                arrays = train_arrays(task, images, labels)
                with written_whole(path) as unfinished:
                    np.savez(unfinished, **arrays)  # pyright: ignore[reportArgumentType]
    except OSError as error:
        UNWRITTEN[path] = arrays or train_arrays(task, images, labels)
        say_line(f"note: the {task.noun} cannot be kept for the next command: {error}")
    return path


def network_path(task: Task, data_sha256: str, data_dir: str | os.PathLike[str]) -> pathlib.Path:
    """The file of the network that learns `task` from a data set."""
    return pathlib.Path(data_dir) / task.folder / f"{data_sha256[:16]}-v{VERSION}.npz"


def train_arrays(task: Task, images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Trains a network; returns what its file has."""
    # On the CPU the order of additions, and so the result, is always the same.
    with tf.device("CPU:0"):
        network = build_network(images.shape[1:], task.count_answers(labels))
        accuracy = train_network(task, network, images[:MOST], labels[:MOST])
    weights = {f"weight_{i}": w for i, w in enumerate(network.get_weights())}
    return {"test_accuracy": np.asarray(accuracy), **weights}


@channels_last()
def build_network(shape: tuple[int, ...], answers: int) -> keras.Model:
    """Convolutions down to 4x4, a layer of features, and a layer of logits."""

    def convolution(filters, strides):
        return keras.layers.Conv2D(filters, 3, strides, padding="same", activation="relu")

    images = keras.Input(shape)
    filters, size = 32, shape[0]
    outputs = convolution(filters, 1)(images)
    while size > 4:
        filters, size = min(2 * filters, 128), size // 2
        outputs = convolution(filters, 2)(outputs)
    outputs = keras.layers.Flatten()(outputs)
    features = keras.layers.Dense(FEATURES, activation="relu")(outputs)
    return keras.Model(images, [features, keras.layers.Dense(answers)(features)])


def train_network(
    task: Task, network: keras.Model, images: np.ndarray, labels: np.ndarray
) -> float:
    """Trains `network`; returns its accuracy on the last fifth.

    On one machine every call gives the same weights. Another machine, with other cores, rounds
    differently and makes another network, with another name.
    """
    split = count_training(images)
    rng = np.random.default_rng(0)
    initialize(network, rng)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)
    optimizer = keras.optimizers.Adam(schedule)  # pyright: ignore[reportArgumentType]
    optimizer.build(network.trainable_variables)

    @tf.function
    def step(batch, wanted):
        with tf.GradientTape() as tape:
            _, logits = network(scale_levels(batch))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, network.trainable_variables))

    for _ in range(STEPS):
        chosen = np.sort(rng.choice(split, min(BATCH // task.copies, split), replace=False))
        step(*task.make_examples(images[chosen], labels[chosen]))
    hits = 0
    for i in range(split, len(images), 512):
        examples, wanted = task.make_examples(images[i : i + 512], labels[i : i + 512])
        _, logits = network(scale_levels(examples))
        hits += np.sum(np.argmax(logits, axis=1) == wanted)
    return float(hits / (task.copies * (len(images) - split)))


def count_training(images: np.ndarray) -> int:
    """How many of `images`, from the first on, train a network; the others test it."""
    return len(images) * 4 // 5


def initialize(network: keras.Model, rng: np.random.Generator) -> None:
    """Draws the initial weights: He et al. 2015, https://arxiv.org/abs/1502.01852."""
    for layer in network.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            fan_in = np.prod(kernel.shape[:-1])
            drawn = rng.normal(size=kernel.shape) * np.sqrt(2 / fan_in)
            layer.set_weights([drawn.astype(np.float32), np.zeros_like(bias)])


def scale_levels(images: np.ndarray) -> tf.Tensor:
    """Levels 0 to 255 as float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1


def load_weights(task: Task, path: pathlib.Path, network: keras.Model) -> float:
    """Loads the weights; returns the test accuracy stored with them."""
    try:
        if path in UNWRITTEN:
            return set_weights(network, UNWRITTEN[path])
        with path.open("rb") as file:
            return set_weights(network, np.load(file, allow_pickle=False))
    except Exception as error:  # zipfile, zlib and NumPy's readers share no type of error.
        text = f"the {task.noun} in {path} cannot be read; remove it to train it again. Received: "
        raise RunError(f"{text}{error}") from error


def set_weights(network: keras.Model, arrays: Mapping[str, np.ndarray]) -> float:
    """Gives `network` the weights in `arrays`; returns the test accuracy."""
    network.set_weights([arrays[f"weight_{i}"] for i in range(len(network.weights))])
    return float(arrays["test_accuracy"])
