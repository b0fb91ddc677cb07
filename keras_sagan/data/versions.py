"""The versions of a prepared set, one for each state that the user's files have had."""

import hashlib
import itertools
import pathlib
import re
import shutil
from collections.abc import Sequence
from typing import Any

from keras_sagan.data.arrays import idx_source, npz_source
from keras_sagan.data.folder import folder_source, zip_source
from keras_sagan.data.source import ImageSource
from keras_sagan.data.stamps import Changes, read_recorded
from keras_sagan.data.synthetic import synthetic_source
from keras_sagan.errors import UsageError
from keras_sagan.progress import say_line
from keras_sagan.values import ImageSet

SOURCES = {
    "folder": folder_source,
    "zip": zip_source,
    "npz": npz_source,
    "idx": idx_source,
    "synthetic": synthetic_source,
}


def open_source(image_set: ImageSet, data_dir: str = "") -> ImageSource:
    """The source of an image set; an embedded set is built under `data_dir`.

    Raises:
        UsageError: if there is no such set, or the user's files cannot be read.
    """
    dataset = image_set.dataset
    if dataset.kind in SOURCES:
        try:
            return SOURCES[dataset.kind](image_set)
        except OSError as error:
            raise UsageError(f"dataset={dataset.text} cannot be read: {error}") from error
    # This import loads TensorFlow Datasets.
    from keras_sagan.data.builders import builder_source

    return builder_source(image_set, data_dir)


def find_version(
    image_set: ImageSet, parent: pathlib.Path, is_quick: bool
) -> tuple[pathlib.Path | None, Changes | None]:
    """Finds a prepared set in `parent`; for the user's files, the version that matches them now.

    If the user's files are gone, this is the latest version.

    Returns:
        The set's folder, or None; and what has changed since the latest version, or None.
    """
    name, path = set_name(image_set), image_set.dataset.path
    if not image_set.dataset.is_own:
        return (parent / name if (parent / name).exists() else None), None
    versions = list_versions(image_set, parent)
    if versions and not path.exists():
        say_line(f"note: {image_set.dataset.text} is gone: {versions[0]} stands for it")
        return versions[0], None
    return match_version(image_set, versions, is_quick)


def match_version(
    image_set: ImageSet, versions: Sequence[pathlib.Path], is_quick: bool
) -> tuple[pathlib.Path | None, Changes | None]:
    """Finds the version that was made from the user's files as they are; see `find_version`.

    Versions from earlier releases, without a record of their files, are ignored.
    """
    records = [record for version in versions if (record := read_recorded(version))]
    if is_quick:
        for record in records:
            if record.looks_current(image_set.dataset.root):
                return record.directory, None
    if not records:  # The first preparation, which lists the files itself.
        return None, None
    now, latest = open_source(image_set).files, None
    for record in records:
        changes = record.compare(now)
        if not changes.found():
            return record.directory, None
        latest = latest or changes
    return None, latest


def list_versions(image_set: ImageSet, parent: pathlib.Path) -> list[pathlib.Path]:
    """The versions of a set of the user's own files, the latest first."""
    found = parent.glob(f"{set_name(image_set)}-*/images.npy")
    ordered = sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [path.parent for path in ordered]


def remove_versions(image_set: ImageSet, kept: pathlib.Path) -> list[tuple[pathlib.Path, int]]:
    """Removes all versions of a set but one; returns the folder and the bytes of each."""
    if not image_set.dataset.is_own:
        return []
    removed = [path for path in list_versions(image_set, kept.parent) if path != kept]
    sizes = [sum(file.stat().st_size for file in path.iterdir()) for path in removed]
    for path in removed:
        shutil.rmtree(path)
    return list(zip(removed, sizes, strict=True))


def new_version(path: pathlib.Path) -> pathlib.Path:
    """`path`, or with a number if it exists, e.g. of files that got the times of others."""
    numbered = (path.with_name(f"{path.name}-{i}") for i in itertools.count(2))
    return next(each for each in itertools.chain([path], numbered) if not each.exists())


def set_name(image_set: ImageSet) -> str:
    """A file name, different for each image set. Existing sets depend on it: it must not change."""
    dataset = image_set.dataset
    legible, key = dataset.text, list[Any]((dataset.text, image_set.split))
    if dataset.is_own:
        key[0] = str(dataset.path) if dataset.kind == "folder" else dataset.absolute_text
        legible = dataset.path.name
    elif dataset.kind == "tfds":
        key = [*key, image_set.tfds_dir]
    elif dataset.kind == "synthetic":
        key = [*key, image_set.num_classes]
    legible = re.sub(r"\W+", "_", legible, flags=re.ASCII)[:40]
    if changes := image_set.preprocessing.changes():
        key.append(changes)
    size = "x".join(map(str, image_set.image_shape))
    return f"{legible}-{size}-{hashlib.sha256(repr(key).encode()).hexdigest()[:8]}"
