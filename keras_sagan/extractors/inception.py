"""The 2015 Inception network, from whatever form of it is at hand."""

import hashlib
import pathlib
import tarfile
import tempfile
import zlib

import keras
import tensorflow as tf

from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.extractors.extractor import INCEPTION_SIZE, Extractor
from keras_sagan.extractors.frozen import load_frozen

WHERE = (
    "download http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz and "
    "give it as --extractor=inception:PATH"
)
# Features and logits of the real network.
WIDTHS = (2048, 1008)


def inception(path, protocol):
    """The network at `path`: a frozen graph `.pb`, an archive `.tgz` of one or of a SavedModel, a
    SavedModel's folder, a Keras model `.keras`, or a URL, which is handed to TensorFlow Hub.

    SavedModels and Keras models take images in [-1, 1] and give `pool_3` and `logits`, as TF-GAN's
    module does.

    Raises:
        FileNotFoundError: if there is nothing at `path`, saying where to get it.
        UsageError: if what is there is none of these, or not Inception's.
        RunError: if the URL cannot be loaded.
    """
    if "://" in path:
        network, sha256 = from_hub(path), None
    else:
        place = pathlib.Path(path).expanduser()
        if not place.exists():
            raise FileNotFoundError(f"no Inception network at {path}: {WHERE}")
        try:
            network, sha256 = from_path(place), hash_of(place)
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise UsageError(f"{path} cannot be read as an Inception network: {error}") from error
    widths = widths_of(network, path)
    record = {"network": path, "sha256": sha256, "widths": widths}
    if widths == WIDTHS:
        return Extractor(protocol.name, True, False, protocol, network, record)
    # Another network: its distance must not be called FID.
    name = f"graph-{(sha256 or 'hub')[:8]}-{protocol.name}"
    return Extractor(name, False, False, protocol, network, record)


def widths_of(network, path):
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


def from_path(path):
    """The function of images in a file or folder."""
    if path.is_dir():
        return from_saved_model(path)
    if path.suffix == ".keras":
        try:
            return outputs_of(keras.saving.load_model(path, compile=False, safe_mode=True), path)
        except (ValueError, KeyError) as error:
            raise UsageError(f"expected a Keras model. Received: {path}: {error}") from error
    if tarfile.is_tarfile(path):
        return from_archive(path)
    return load_frozen(path.read_bytes(), str(path))


def from_archive(path):
    with tarfile.open(path) as archive, tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder, filter="data")
        files = sorted(pathlib.Path(folder).rglob("*.pb"))
        saved = [file for file in files if file.name == "saved_model.pb"]
        if saved:
            return from_saved_model(saved[0].parent)
        if len(files) != 1:
            names = [file.name for file in files]
            raise UsageError(f"expected one .pb file in the archive {path}. Received: {names}")
        return load_frozen(files[0].read_bytes(), f"{path}, {files[0].name}")


def from_saved_model(path):
    try:
        return outputs_of(tf.saved_model.load(str(path)), path)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UsageError(f"expected a SavedModel. Received: {path}: {error}") from error


def from_hub(url):
    """Downloads, since the user named a URL; TFHUB_CACHE_DIR may hold it already."""
    try:
        import tensorflow_hub
    except ImportError as error:
        raise UsageError(
            f"a URL needs the package tensorflow-hub. Received: inception:{url}"
        ) from error
    try:
        return outputs_of(tensorflow_hub.load(url), url)
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise RunError(f"{url} cannot be loaded: {error}") from error


def outputs_of(model, source):
    """`model` as function of images to features and logits, both flat.

    A SavedModel without a call of its own is called by its `serving_default` signature.
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
        return tuple(tf.reshape(outputs[name], [count, -1]) for name in ("pool_3", "logits"))

    # What a model refers to lives as long as the function.
    network.model = model
    return network


def hash_of(path):
    """SHA-256 of a file, or of all files of a folder with their names."""
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
