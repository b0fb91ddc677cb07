"""The 2015 Inception network, loaded from any of its published forms."""

import hashlib
import pathlib
import tarfile
import tempfile
import zlib
from typing import Any

import keras
import tensorflow as tf

from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.extractors.extractor import INCEPTION_SIZE, Extractor, FeatureNetwork
from keras_sagan.extractors.frozen import load_frozen
from keras_sagan.metrics.protocol import Protocol

WHERE = (
    "download http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz and "
    "give it as --extractor=inception:PATH"
)
# Features and logits of the real network.
WIDTHS = (2048, 1008)


class MissingNetworkError(FileNotFoundError):
    """There is no Inception network where one was named."""


def inception(path: str, protocol: Protocol) -> Extractor:
    """Loads the network at `path`.

    SavedModels and Keras models take images in [-1, 1] and return a dict with `pool_3` and
    `logits`, like the module of TF-GAN.

    Args:
        path: a frozen graph `.pb`, an archive `.tgz` of one or of a SavedModel, the folder of a
            SavedModel, a Keras model `.keras`, or a URL that TensorFlow Hub loads.
        protocol: how images become the network's input.

    Raises:
        FileNotFoundError: if there is nothing at `path`; the message says where to get it.
        UsageError: if it is something else.
        RunError: if the URL cannot be loaded.
    """
    if "://" in path:
        network, sha256 = load_from_hub(path), None
    else:
        place = pathlib.Path(path).expanduser()
        if not place.exists():
            raise MissingNetworkError(f"no Inception network at {path}: {WHERE}")
        try:
            network, sha256 = load_from_path(place), hash_files(place)
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise UsageError(f"{path} cannot be read as an Inception network: {error}") from error
    widths = measure_widths(network, path)
    record = {"network": path, "sha256": sha256, "widths": widths}
    if widths == WIDTHS:
        return Extractor(protocol.name, True, "other", protocol, network, record)
    # Another network: its distance must not be called FID.
    name = f"graph-{(sha256 or 'hub')[:8]}-{protocol.name}"
    return Extractor(name, False, "other", protocol, network, record)


def measure_widths(network: FeatureNetwork, path: str) -> tuple[int | None, ...]:
    """Lengths of features and logits."""
    try:
        outputs = network(tf.zeros([1, INCEPTION_SIZE, INCEPTION_SIZE, 3]))
    except UsageError:
        raise
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise UsageError(
            f"expected a network of images [n, {INCEPTION_SIZE}, {INCEPTION_SIZE}, 3]. "
            f"Received: {path}: {reason_of(error)[:200]}"
        ) from error
    return tuple(part.shape[-1] for part in outputs)


def load_from_path(path: pathlib.Path) -> FeatureNetwork:
    """Loads a file or folder."""
    if path.is_dir():
        return load_saved_model(path)
    if path.suffix == ".keras":
        try:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
            return with_flat_outputs(model, path)
        except (ValueError, KeyError) as error:
            raise UsageError(f"expected a Keras model. Received: {path}: {error}") from error
    if tarfile.is_tarfile(path):
        return load_archive(path)
    return load_frozen(path.read_bytes(), str(path))


def load_archive(path: pathlib.Path) -> FeatureNetwork:
    """Loads the one network in an archive."""
    with tarfile.open(path) as archive, tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder, filter="data")
        files = sorted(pathlib.Path(folder).rglob("*.pb"))
        saved = [file for file in files if file.name == "saved_model.pb"]
        if saved:
            return load_saved_model(saved[0].parent)
        if len(files) != 1:
            names = [file.name for file in files]
            raise UsageError(f"expected one .pb file in the archive {path}. Received: {names}")
        return load_frozen(files[0].read_bytes(), f"{path}, {files[0].name}")


def load_saved_model(path: pathlib.Path) -> FeatureNetwork:
    """Loads the folder of a SavedModel."""
    try:
        return with_flat_outputs(tf.saved_model.load(str(path)), path)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UsageError(f"expected a SavedModel. Received: {path}: {error}") from error


def load_from_hub(url: str) -> FeatureNetwork:
    """Downloads a module, unless it is in TFHUB_CACHE_DIR."""
    try:
        import tensorflow_hub  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        text = f"a URL needs the package tensorflow-hub. Received: inception:{url}"
        raise UsageError(text) from error
    try:
        return with_flat_outputs(tensorflow_hub.load(url), url)
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise RunError(f"{url} cannot be loaded: {error}") from error


def with_flat_outputs(model: Any, source: pathlib.Path | str) -> FeatureNetwork:
    """`model` as a function of images to features and logits, both flat.

    A SavedModel that is not callable is called by its signature `serving_default`.
    """
    function = model if callable(model) else model.signatures["serving_default"]

    def network(images):
        outputs = function(images)
        if not isinstance(outputs, dict) or not {"pool_3", "logits"} <= set(outputs):
            given = sorted(outputs) if isinstance(outputs, dict) else type(outputs).__name__
            raise UsageError(
                f"expected a model that gives pool_3 and logits. Received: {source}, giving {given}"
            )
        count = tf.shape(images)[0]
        features, logits = outputs["pool_3"], outputs["logits"]
        return tf.reshape(features, [count, -1]), tf.reshape(logits, [count, -1])

    # The function needs the model's variables, which live as long as the model.
    network.model = model  # pyright: ignore[reportFunctionMemberAccess]
    return network


def hash_files(path: pathlib.Path) -> str:
    """SHA-256 of a file, or of all files in a folder and their names."""
    total = hashlib.sha256()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            if path.is_dir():
                total.update(str(file.relative_to(path)).encode())
            with file.open("rb") as opened:
                for piece in iter(lambda: opened.read(1 << 20), b""):
                    total.update(piece)
    return total.hexdigest()
