"""Sets of TensorFlow Datasets (TFDS), and the embedded sets, which are builders of it."""

import contextlib
import difflib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_sagan.data.source import Example, ImageSource
from keras_sagan.errors import RunError, UsageError
from keras_sagan.values import EMBEDDED_SETS, ImageSet


def builder_source(image_set: ImageSet, data_dir: str) -> ImageSource:
    """The source of an embedded set or a set of TFDS, which the first call builds.

    Args:
        image_set: which set and split.
        data_dir: folder of all data; the embedded sets are built there.

    Raises:
        UsageError: if the name, configuration, version or split is unknown, if the set needs files
            that a person must download, or if it has no images.
        RunError: if TFDS fails to download or build it.
    """
    dataset, split = image_set.dataset.text, image_set.split
    builder = find_builder(image_set, os.path.join(data_dir, "tfds"))
    info: Any = builder.info  # Its annotations leave out what builders have.
    image, label = find_features(info, dataset)
    build_set(builder, dataset)
    classes = tuple(info.features[label].names) if label else (builder.name,)
    decoders = tfds.decode.PartialDecoding(
        {key: True for key in (image, label) if key}, decoders={image: tfds.decode.SkipDecoding()}
    )

    def examples() -> Iterator[Example]:
        for i, example in enumerate(read_examples(builder, image_set, decoders)):
            name, number = f"{split}[{i}]", int(example[label]) if label else 0
            if not 0 <= number < len(classes):
                raise UsageError(
                    f"expected labels in 0...{len(classes) - 1} in {dataset}. "
                    f"Received: {number} at {name}"
                )
            yield Example(name, example[image], number)

    source = f"TFDS builder {info.full_name}"
    record = {"source": source, "version": str(info.version), "split": split}
    return ImageSource(record, classes, count_examples(info, image_set), examples)


def find_builder(image_set: ImageSet, embedded_dir: str) -> tfds.core.DatasetBuilder:
    """The builder of a set; those of TFDS, or built by a person, are in `image_set.tfds_dir`."""
    dataset = image_set.dataset
    if dataset.kind == "digits":
        from keras_sagan.data.digits import Digits

        return Digits(data_dir=embedded_dir)
    if dataset.kind == "symmetry":
        from keras_sagan.data.symmetry import Symmetry, SymmetryConfig

        size, count = image_set.image_size, dataset.count
        settings = SymmetryConfig(image_size=size, count=count, seed=dataset.seed)
        return Symmetry(config=settings, data_dir=embedded_dir)
    try:
        return tfds.builder(dataset.text, data_dir=image_set.tfds_dir or None)
    except tfds.core.DatasetNotFoundError as error:
        names = {*EMBEDDED_SETS, *tfds.list_builders(with_community_datasets=False)}
        close = difflib.get_close_matches(dataset.text, names)
        near = f" Did you mean: {', '.join(close)}?" if close else ""
        raise UsageError(
            "dataset must be folder:PATH, digits, symmetry, synthetic, or the name of a set of "
            f"TensorFlow Datasets.{near} Received: {dataset.text}"
        ) from error
    except Exception as error:  # Each part of TFDS fails in its own way on an odd name.
        raise UsageError(f"dataset={dataset.text}: {type(error).__name__}: {error}") from error


def read_examples(builder: Any, image_set: ImageSet, decoders: Any) -> Iterator[dict[str, Any]]:
    """Iterates over a split's examples as TFDS has them."""
    try:
        with silenced(logging.getLogger("absl")):  # Partial decoding warns about its own code.
            dataset = builder.as_dataset(split=image_set.split, decoders=decoders)
        yield from tfds.as_numpy(dataset)
    except Exception as error:  # TensorFlow's, about missing or damaged files.
        reason = f"{type(error).__name__}: {error}"
        message = f"TensorFlow Datasets cannot read {image_set.dataset.text}: {reason}"
        raise RunError(message) from error


@contextlib.contextmanager
def silenced(logger: logging.Logger) -> Iterator[None]:
    """Drops a logger's messages."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def find_features(info: Any, dataset: str) -> tuple[str, str | None]:
    """Names of the image and its label, None without one; `supervised_keys` decides if several."""
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


def is_photo(feature: Any) -> bool:
    """Whether a feature is an image of unsigned integers, and no map of labels."""
    maps = isinstance(feature, tfds.features.LabeledImage)
    image = isinstance(feature, tfds.features.Image)
    return image and not maps and np.dtype(feature.np_dtype).kind == "u"  # pyright: ignore


def build_set(builder: tfds.core.DatasetBuilder, dataset: str) -> None:
    """Downloads and builds a set unless that was done before."""
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except AssertionError as error:  # It says which files to download by hand, and to where.
        raise UsageError(f"dataset={dataset}: {error}") from error
    except Exception as error:  # Builders are other people's code and may raise anything.
        reason = f"{type(error).__name__}: {error}"
        raise RunError(f"TensorFlow Datasets cannot build {dataset}: {reason}") from error


def count_examples(info: Any, image_set: ImageSet) -> int | None:
    """Examples in the split; None if the set does not know its splits."""
    if not info.splits:
        return None
    split, dataset = image_set.split, image_set.dataset.text
    try:
        count = info.splits[split].num_examples
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"split must be one of {', '.join(info.splits)} of {dataset}, or a sum or part of "
            f"them. Received: {split}"
        ) from error
    if not count:
        raise UsageError(f"expected images in split={split} of {dataset}")
    return count
