"""Sets of TensorFlow Datasets, and the embedded ones, which are builders of it."""

import contextlib
import difflib
import logging
import os
import sys

import numpy as np
import tensorflow_datasets as tfds

from keras_sagan.data.source import Example, Source
from keras_sagan.errors import RunError, UsageError

EMBEDDED = ("digits", "symmetry", "synthetic")


def digits_source(config):
    """1,797 handwritten digits."""
    from keras_sagan.data.digits import Digits

    return read(Digits(data_dir=embedded_dir(config)), config)


def symmetry_source(config):
    """Textures of `config.image_size` pixels in which one half determines the other.

    Raises:
        UsageError: if the name is not symmetry, symmetry:COUNT or symmetry:COUNT:SEED.
    """
    from keras_sagan.data.symmetry import Symmetry, SymmetryConfig

    numbers = config.dataset.split(":")[1:]
    valid = len(numbers) <= 2 and all(text.isdecimal() and len(text) < 10 for text in numbers)
    count, seed = [*map(int, numbers), *(10_000, 0)[len(numbers) :]] if valid else (0, 0)
    if count < 4:
        raise UsageError(
            "dataset must be symmetry, symmetry:COUNT or symmetry:COUNT:SEED, with at least an "
            f"image for each of the four classes. Received: {config.dataset}"
        )
    settings = SymmetryConfig(image_size=config.image_size, count=count, seed=seed)
    return read(Symmetry(config=settings, data_dir=embedded_dir(config)), config)


def embedded_dir(config):
    return os.path.join(config.data_dir, "tfds")


def tfds_source(config):
    """A set that TensorFlow Datasets knows, or one that was built into `config.tfds_dir`.

    Raises:
        UsageError: if the name, configuration, version or split is unknown, the set needs files
            that a person must download, or it has no images.
        RunError: if TensorFlow Datasets fails to download or build it.
    """
    try:
        builder = tfds.builder(config.dataset, data_dir=config.tfds_dir or None)
    except tfds.core.DatasetNotFoundError as error:
        names = {*EMBEDDED, *tfds.list_builders(with_community_datasets=False)}
        close = difflib.get_close_matches(config.dataset.partition(":")[0], names)
        near = f" Did you mean: {', '.join(close)}?" if close else ""
        raise UsageError(
            "dataset must be folder:PATH, digits, symmetry, synthetic, or the name of a set of "
            f"TensorFlow Datasets.{near} Received: {config.dataset}"
        ) from error
    except Exception as error:  # Its parts fail in many ways, each about the name it was given.
        raise UsageError(f"dataset={config.dataset}: {type(error).__name__}: {error}") from error
    return read(builder, config)


def read(builder, config):
    """The source of a builder, which builds its set first if that was not done."""
    image, label = keys(builder.info, config.dataset)
    build(builder, config.dataset)
    info = builder.info
    classes = tuple(info.features[label].names) if label else (builder.name,)
    parts = tfds.decode.PartialDecoding(
        {key: True for key in (image, label) if key},
        decoders={image: tfds.decode.SkipDecoding()},
    )

    def examples():
        for i, example in enumerate(read_all(builder, config, parts)):
            name, number = f"{config.split}[{i}]", int(example[label]) if label else 0
            if not 0 <= number < len(classes):
                raise UsageError(
                    f"expected labels in 0...{len(classes) - 1} in {config.dataset}. "
                    f"Received: {number} at {name}"
                )
            yield Example(name, example[image], number)

    record = {
        "source": f"TFDS builder {info.full_name}",
        "version": str(info.version),
        "split": config.split,
    }
    return Source(record, classes, split_size(info, config), examples)


def read_all(builder, config, parts):
    """Iterates over a split's examples as TensorFlow Datasets has them."""
    try:
        with silent(logging.getLogger("absl")):  # Partial decoding warns of its own code.
            dataset = builder.as_dataset(split=config.split, decoders=parts)
        yield from tfds.as_numpy(dataset)
    except Exception as error:  # Of TensorFlow, for files that are missing or damaged.
        raise RunError(
            f"TensorFlow Datasets cannot read {config.dataset}: {type(error).__name__}: {error}"
        ) from error


@contextlib.contextmanager
def silent(logger):
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def keys(info, dataset):
    """Names of the features that are the image and its label; None for the label of sets without.

    Those of `supervised_keys` first: some sets have several.
    """
    first = [key for key in info.supervised_keys or () if isinstance(key, str)]
    names = sorted(info.features, key=lambda name: (name not in first, name != "image", name))
    images = [name for name in names if is_photo(info.features[name])]
    if not images:
        raise UsageError(
            f"expected a set with images of 8 or 16 bits. Received: dataset={dataset}, with "
            f"features {', '.join(info.features)}"
        )
    kind = tfds.features.ClassLabel
    labels = [name for name in names if isinstance(info.features[name], kind)]
    return images[0], next((name for name in labels if info.features[name].num_classes), None)


def is_photo(feature):
    maps = isinstance(feature, tfds.features.LabeledImage)
    return (
        isinstance(feature, tfds.features.Image)
        and not maps
        and np.dtype(feature.np_dtype).kind == "u"
    )


def build(builder, dataset):
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except AssertionError as error:  # The set's files must be downloaded by hand, to where it says.
        raise UsageError(f"dataset={dataset}: {error}") from error
    except Exception as error:  # A builder is code of others, which may fail in any way.
        raise RunError(
            f"TensorFlow Datasets cannot build {dataset}: {type(error).__name__}: {error}"
        ) from error


def split_size(info, config):
    """Examples in the split; None where the set does not know its splits."""
    if not info.splits:
        return None
    try:
        count = info.splits[config.split].num_examples
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"split must be one of {', '.join(info.splits)} of {config.dataset}, or a sum or part "
            f"of them. Received: {config.split}"
        ) from error
    if not count:
        raise UsageError(f"expected images in split={config.split} of {config.dataset}")
    return count
