"""Any image set as `images.npy` and `labels.npy`, written once, then memory-mapped."""

import hashlib
import json
import math
import pathlib
from typing import NamedTuple

import numpy as np

from keras_sagan.classes import show_name
from keras_sagan.data.source import check_classes
from keras_sagan.data.stamps import Changes
from keras_sagan.data.versions import find_version, new_version, open_source, set_name
from keras_sagan.data.write import seal_of, write_arrays
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import locked, remove_unfinished, written_whole
from keras_sagan.progress import say_line
from keras_sagan.values import ImageSet

# Images that `verify` reads at a time.
PIECE = 1000
# Entries of `dataset.json` that other records do not quote.
DETAILS = ("classes", "counts", "left_out", "splits", "passed_over", "noticed")


class Prepared:
    """A prepared set.

    Attributes:
        directory: what `prepare` wrote.
        images: uint8 `[N, image_size, image_size, image_channels]`, memory-mapped.
        labels: int32 `[N]`, memory-mapped.
        num_classes: 1 for a set without labels.
        record: the set's `dataset.json`.
        summary: the part of `record` that other records quote.

    Raises:
        RunError: if a file is missing or broken.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        try:
            self.images = np.load(directory / "images.npy", mmap_mode="r", allow_pickle=False)
            self.labels = np.load(directory / "labels.npy", mmap_mode="r", allow_pickle=False)
            self.record = json.loads((directory / "dataset.json").read_text("utf-8"))
            if self.record.pop("seal", None) not in (None, seal_of(self.record)):
                raise ValueError("dataset.json with another seal")
            self.num_classes = len(self.record["classes"])
            self.summary = {key: self.record[key] for key in self.record if key not in DETAILS}
            counts = np.bincount(self.labels, minlength=self.num_classes).tolist()
            if len(self.images) != len(self.labels) or counts != self.record["counts"]:
                raise ValueError("images, labels and counts that contradict each other")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"prepared data in {directory} cannot be read; remove it to prepare it again. "
                f"Received: {error}"
            ) from error

    @property
    def data_dir(self) -> pathlib.Path:
        """The folder of all data that the set is in."""
        return self.directory.parents[1]

    def verify(self) -> None:
        """Compares the whole content with its hash, which training skips to save time.

        Raises:
            RunError: if the content has changed.
        """
        content = hashlib.sha256()
        for i in range(0, len(self.images), PIECE):
            content.update(self.images[i : i + PIECE].tobytes())
        content.update(self.labels.tobytes())
        if content.hexdigest() != self.record["sha256"]:
            raise RunError(
                f"prepared data in {self.directory} have changed since they were written; remove "
                f"it to prepare it again. Received: content hash {content.hexdigest()[:12]}"
            )


class Examples(NamedTuple):
    """Images and their labels."""

    images: np.ndarray  # uint8 `[n, H, W, C]`.
    labels: np.ndarray  # int32 `[n]`.


def hold_out(prepared: Prepared, share: float) -> tuple[Examples, Examples]:
    """Divides a set into the examples to train on and those held out, the last ones.

    Args:
        prepared: the set.
        share: of the images to hold out, in [0, 1); rounded up to a whole number.

    Raises:
        UsageError: if a class of the set, or the whole set, would have nothing to train on.
    """
    count = math.ceil(len(prepared.images) * share)
    split = len(prepared.images) - count
    parts = (slice(None, split), slice(split, None))
    training, held_out = (Examples(prepared.images[i], prepared.labels[i]) for i in parts)
    left = np.bincount(training.labels, minlength=prepared.num_classes)
    if count and not left.all():
        name = prepared.record["classes"][int(np.argmin(left))]
        raise UsageError(
            f"holdout must leave images of every class to train on. Received: holdout={share:g}, "
            f"which takes all of {show_name(name)}"
        )
    return training, held_out


def prepare(
    image_set: ImageSet, data_dir: str, max_bad_fraction: float = 0.01, renew: bool = False
) -> Prepared:
    """Opens a prepared set, which the first call writes under `data_dir`.

    An interrupted preparation leaves no partial set. If two processes prepare at once, the second
    waits for the first. Earlier versions of a set stay, for the runs that began with them.

    Args:
        image_set: the images and their size.
        data_dir: folder of all data.
        max_bad_fraction: the largest fraction of broken images that may be left out.
        renew: whether to check every file of the user, and to prepare a changed set again.
            Otherwise, only folders and some of the files are checked.

    Raises:
        UsageError: if the set does not exist or has fewer than two images, if the user's files
            have changed, or if the number of classes is not `image_set.num_classes`.
        RunError: if too many images are broken, or the set cannot be written or read.
    """
    parent, dataset = pathlib.Path(data_dir) / "prepared", image_set.dataset.text
    try:
        found, changes = find_version(image_set, parent, is_quick=not renew)
    except OSError as error:
        raise UsageError(f"dataset={dataset} cannot be read: {error}") from error
    if changes:
        report_changes(changes, dataset, renew)
    try:
        if not found:
            parent.mkdir(parents=True, exist_ok=True)
            with locked(parent / ".lock", "prepares data"):
                found, _ = find_version(image_set, parent, is_quick=False)
                found = found or write_set(image_set, data_dir, max_bad_fraction)
    except OSError as error:
        raise RunError(f"data cannot be prepared in {parent}: {error}") from error
    prepared = Prepared(found)
    check_prepared(prepared, image_set)
    return prepared


def report_changes(changes: Changes, dataset: str, renew: bool) -> None:
    """Tells the user what has changed; raises a `UsageError` unless it is prepared again."""
    if not renew:
        raise UsageError(
            f"the images of {dataset} have changed since they were prepared: prepare them again "
            f"with python -m keras_sagan.prepare and the same flags. Received: {changes}"
        )
    say_line(f"{dataset} has changed since it was prepared: {changes}")


def check_prepared(prepared: Prepared, image_set: ImageSet) -> None:
    """Raises a `UsageError` if a set is too small, or its classes are not the requested ones."""
    dataset, record = image_set.dataset.text, prepared.record
    check_num_classes(image_set, prepared.num_classes)
    if len(prepared.images) < 2:
        raise UsageError(f"expected at least two images in {dataset}. Received: one")
    if image_set.num_classes != 0:
        check_classes(record["classes"], record["counts"], dataset, record["left_out"])


def check_num_classes(image_set: ImageSet, found: int) -> None:
    """Raises a `UsageError` if the data do not have the requested number of classes."""
    if image_set.num_classes not in (-1, 0, found):
        raise UsageError(
            f"num_classes must be {found}, the number of classes in {image_set.dataset.text}, -1 "
            f"for the same, or 0 to ignore the classes. Received: {image_set.num_classes}"
        )


def write_set(image_set: ImageSet, data_dir: str, max_bad_fraction: float) -> pathlib.Path:
    """Writes a set and returns its folder; only the lock's holder may call this."""
    final = pathlib.Path(data_dir) / "prepared" / set_name(image_set)
    remove_unfinished(final.parent)
    source = open_source(image_set, data_dir)
    check_num_classes(image_set, len(source.classes))
    if source.files.files:
        final = new_version(final.with_name(f"{final.name}-{source.files.fingerprint[:8]}"))
    with written_whole(final) as path:
        write_arrays(source, image_set, max_bad_fraction, path)
    return final
