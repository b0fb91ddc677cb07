"""Any image set as `images.npy` and `labels.npy`, made once and memory-mapped since."""

import hashlib
import json
import pathlib
import re
import shutil

import numpy as np

from keras_sagan.data import folder
from keras_sagan.data.source import check_classes
from keras_sagan.data.synthetic import synthetic_source
from keras_sagan.data.write import write
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import locked, remove_unfinished, written_whole

# Images that are read at a time to verify a set.
PIECE = 1000


class Prepared:
    """A prepared set.

    Args:
        directory: path of what `prepare` has written.

    Attributes:
        directory: the same.
        images: uint8 `[N, image_size, image_size, image_channels]`, memory-mapped.
        labels: int32 `[N]`, memory-mapped.
        num_classes: int; 1 for a set without labels.
        record: dict, the set's `dataset.json`.
        summary: dict, of it what other records quote.

    Raises:
        RunError: if a file is missing or broken.
    """

    def __init__(self, directory):
        self.directory = directory
        try:
            self.images = np.load(directory / "images.npy", mmap_mode="r", allow_pickle=False)
            self.labels = np.load(directory / "labels.npy", mmap_mode="r", allow_pickle=False)
            self.record = json.loads((directory / "dataset.json").read_text())
            self.num_classes = len(self.record["classes"])
            lists = ("classes", "counts", "left_out")
            self.summary = {key: self.record[key] for key in self.record if key not in lists}
            counts = np.bincount(self.labels, minlength=self.num_classes).tolist()
            if len(self.images) != len(self.labels) or counts != self.record["counts"]:
                raise ValueError("images, labels and counts that do not fit each other")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"prepared data in {directory} cannot be read; remove it to prepare it again. "
                f"Received: {error}"
            ) from error

    def verify(self):
        """Reads all of it, which a training does not wait for.

        Raises:
            RunError: if it is not what was written.
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


def prepare(config, renew=False):
    """The set of `config`, prepared under `config.data_dir` on first use.

    Written to a temporary folder that is renamed at the end, so an interrupted preparation leaves
    no half set. Of two processes at once the second waits for the first.

    Args:
        config: `Config`.
        renew: bool, whether to prepare a folder again whose images have changed since.

    Raises:
        UsageError: if there is no such set, it has less than two images, a folder's images have
            changed, or the set's classes are not those of `config.num_classes`.
        RunError: if too many images are broken, the set cannot be written, or what is there cannot
            be read.
    """
    parent = pathlib.Path(config.data_dir) / "prepared"
    final, earlier = location(config, parent)
    try:
        if not final.exists():
            if earlier and not renew:
                raise UsageError(
                    f"the images of {config.dataset} have changed since they were prepared: "
                    "prepare them again with python -m keras_sagan.prepare and the same flags. "
                    f"Received: other names or sizes than in {earlier[-1]}"
                )
            parent.mkdir(parents=True, exist_ok=True)
            with locked(parent / ".lock", "prepares data"):
                if not final.exists():
                    make(config, final)
                for version in earlier:
                    shutil.rmtree(version)
    except OSError as error:
        raise RunError(f"data cannot be prepared in {final}: {error}") from error
    prepared = Prepared(final)
    check_number(config, prepared.num_classes)
    if len(prepared.images) < 2:
        raise UsageError(f"expected at least two images in {config.dataset}. Received: one")
    if config.num_classes != 0:
        check_classes(prepared.record["classes"], prepared.record["counts"], config.dataset)
    return prepared


def check_number(config, classes):
    if config.num_classes not in (-1, 0, classes):
        raise UsageError(
            f"num_classes must be {classes}, the classes of {config.dataset}, -1 for the same, or "
            f"0 to leave them out. Received: {config.num_classes}"
        )


def location(config, parent):
    """Where the set is, or will be; and where it is of a folder's images of before, oldest first.

    A folder that has gone stands for its images as they were prepared last.
    """
    name = set_name(config)
    if kind(config) != "folder":
        return parent / name, []
    versions = sorted(parent.glob(f"{name}-*"), key=lambda path: path.stat().st_mtime_ns)
    now = folder.current_fingerprint(config)
    if now is None and versions:
        return versions[-1], []
    final = parent / f"{name}-{(now or '')[:8]}"
    return final, [path for path in versions if path != final]


def set_name(config):
    """A name for the folder of a prepared set: other sets have others, and none leads elsewhere."""
    key, legible = [config.dataset, config.split], config.dataset
    if kind(config) == "folder":
        key[0], legible = str(folder.folder_of(config)), folder.folder_of(config).name
    elif kind(config) == "tfds":
        key.append(config.tfds_dir)
    elif kind(config) == "synthetic":
        key.append(config.num_classes)
    legible = re.sub(r"\W+", "_", legible, flags=re.ASCII)[:40]
    size = f"{config.image_size}x{config.image_size}x{config.image_channels}"
    return f"{legible}-{size}-{hashlib.sha256(repr(key).encode()).hexdigest()[:8]}"


def kind(config):
    """The part of `config.dataset` that decides where images come from."""
    name = config.dataset.partition(":")[0]
    return name if name in ("folder", "digits", "symmetry", "synthetic") else "tfds"


def make(config, final):
    """Makes the set; only for the holder of the lock."""
    remove_unfinished(final.parent)
    source = open_source(config)
    check_number(config, len(source.classes))
    with written_whole(final) as path:
        write(source, config, path)


def open_source(config):
    """The `Source` that `config.dataset` names."""
    if kind(config) == "folder":
        return folder.folder_source(config)
    if kind(config) == "synthetic":
        return synthetic_source(config)
    # It loads TensorFlow Datasets.
    from keras_sagan.data import builders

    sources = {
        "digits": builders.digits_source,
        "symmetry": builders.symmetry_source,
        "tfds": builders.tfds_source,
    }
    return sources[kind(config)](config)
