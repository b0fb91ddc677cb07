"""Any image set as `images.npy` and `labels.npy`, written once, then memory-mapped."""

import hashlib
import json
import pathlib
import re

import numpy as np

from keras_sagan.data.folder import current_fingerprint, folder_source
from keras_sagan.data.source import ImageSource, check_classes
from keras_sagan.data.synthetic import synthetic_source
from keras_sagan.data.write import write_arrays
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import locked, remove_unfinished, written_whole
from keras_sagan.values import ImageSet

# Images that `verify` reads at a time.
PIECE = 1000


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
            self.num_classes = len(self.record["classes"])
            lists = ("classes", "counts", "left_out")
            self.summary = {key: self.record[key] for key in self.record if key not in lists}
            counts = np.bincount(self.labels, minlength=self.num_classes).tolist()
            if len(self.images) != len(self.labels) or counts != self.record["counts"]:
                raise ValueError("images, labels and counts that contradict each other")
        except (OSError, ValueError, KeyError, TypeError) as error:
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


def prepare(
    image_set: ImageSet, data_dir: str, max_bad_fraction: float = 0.01, renew: bool = False
) -> Prepared:
    """Opens a prepared set, which the first call writes under `data_dir`.

    An interrupted preparation leaves no partial set. If two processes prepare at once, the second
    waits for the first.

    Args:
        image_set: the images and their size.
        data_dir: folder of all data.
        max_bad_fraction: the largest fraction of broken images that may be left out.
        renew: whether to prepare a folder again if its images have changed.

    Raises:
        UsageError: if the set does not exist or has fewer than two images, if a folder's images
            have changed, or if the number of classes is not `image_set.num_classes`.
        RunError: if too many images are broken, or the set cannot be written or read.
    """
    parent, dataset = pathlib.Path(data_dir) / "prepared", image_set.dataset.text
    try:
        final, earlier = locate_set(image_set, parent)
    except OSError as error:
        raise UsageError(f"dataset={dataset} cannot be read: {error}") from error
    try:
        if not final.exists():
            if earlier and not renew:
                raise UsageError(
                    f"the images of {dataset} have changed since they were prepared: prepare them "
                    "again with python -m keras_sagan.prepare and the same flags. "
                    f"Received: other names or sizes than in {earlier[-1]}"
                )
            parent.mkdir(parents=True, exist_ok=True)
            with locked(parent / ".lock", "prepares data"):
                if not final.exists():
                    write_set(image_set, data_dir, max_bad_fraction, final)
    except OSError as error:
        raise RunError(f"data cannot be prepared in {final}: {error}") from error
    prepared = Prepared(final)
    check_num_classes(image_set, prepared.num_classes)
    if len(prepared.images) < 2:
        raise UsageError(f"expected at least two images in {dataset}. Received: one")
    if image_set.num_classes != 0:
        check_classes(prepared.record["classes"], prepared.record["counts"], dataset)
    return prepared


def check_num_classes(image_set: ImageSet, found: int) -> None:
    """Raises a `UsageError` if the data do not have the requested number of classes."""
    if image_set.num_classes not in (-1, 0, found):
        raise UsageError(
            f"num_classes must be {found}, the number of classes in {image_set.dataset.text}, -1 "
            f"for the same, or 0 to ignore the classes. Received: {image_set.num_classes}"
        )


def locate_set(image_set: ImageSet, parent: pathlib.Path) -> tuple[pathlib.Path, list]:
    """Path of the prepared set, and paths of a folder's earlier versions, oldest first.

    If the folder itself is gone, its latest version stands for it.
    """
    name = set_name(image_set)
    if image_set.dataset.folder is None:
        return parent / name, []
    versions = sorted(parent.glob(f"{name}-*"), key=lambda path: path.stat().st_mtime_ns)
    now = current_fingerprint(image_set.dataset.folder)
    if now is None and versions:
        return versions[-1], []
    final = parent / f"{name}-{(now or '')[:8]}"
    return final, [path for path in versions if path != final]


def set_name(image_set: ImageSet) -> str:
    """A file name, different for each image set. Existing sets depend on it: it must not change."""
    dataset = image_set.dataset
    key, legible = [dataset.text, image_set.split], dataset.text
    if dataset.folder is not None:
        key[0], legible = str(dataset.folder), dataset.folder.name
    elif dataset.kind == "tfds":
        key = [*key, image_set.tfds_dir]
    elif dataset.kind == "synthetic":
        key = [*key, image_set.num_classes]
    if changes := image_set.preprocessing.changes():
        key = [*key, changes]
    legible = re.sub(r"\W+", "_", legible, flags=re.ASCII)[:40]
    size = "x".join(map(str, image_set.image_shape))
    return f"{legible}-{size}-{hashlib.sha256(repr(key).encode()).hexdigest()[:8]}"


def write_set(image_set, data_dir: str, max_bad_fraction: float, final: pathlib.Path) -> None:
    """Writes a set to `final`; only the lock's holder may call this."""
    remove_unfinished(final.parent)
    source = open_source(image_set, data_dir)
    check_num_classes(image_set, len(source.classes))
    with written_whole(final) as path:
        write_arrays(source, image_set, max_bad_fraction, path)


def open_source(image_set: ImageSet, data_dir: str) -> ImageSource:
    """The source of an image set; embedded sets are built under `data_dir`."""
    if image_set.dataset.kind == "folder":
        return folder_source(image_set)
    if image_set.dataset.kind == "synthetic":
        return synthetic_source(image_set)
    # This import loads TensorFlow Datasets.
    from keras_sagan.data.builders import builder_source

    return builder_source(image_set, data_dir)
