"""Any image set as `images.npy` and `labels.npy`, made once and memory-mapped since."""

import contextlib
import fcntl
import hashlib
import json
import pathlib
import re
import shutil
import sys
import tempfile

import numpy as np

from keras_sagan.data import folder
from keras_sagan.data.source import check_classes
from keras_sagan.data.write import write
from keras_sagan.errors import RunError, UsageError

# A set that is being made; a kill may leave one, which the next preparation removes.
UNFINISHED = ".unfinished-"


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

    Raises:
        RunError: if a file is missing, broken, or of another set.
    """

    def __init__(self, directory):
        self.directory = directory
        try:
            self.images = np.load(directory / "images.npy", mmap_mode="r", allow_pickle=False)
            self.labels = np.load(directory / "labels.npy", mmap_mode="r", allow_pickle=False)
            self.record = json.loads((directory / "dataset.json").read_text())
            self.num_classes = len(self.record["classes"])
            if not len(self.images) == len(self.labels) == sum(self.record["counts"]):
                raise ValueError("images, labels and counts of different lengths")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"prepared data in {directory} cannot be read; remove it to prepare it again. "
                f"Received: {error}"
            ) from error


def prepare(config, renew=False):
    """The set of `config`, prepared under `config.data_dir` on first use.

    Written to a temporary folder that is renamed at the end, so an interrupted preparation leaves
    no half set. Of two processes at once the second waits for the first.

    Args:
        config: `Config`.
        renew: bool, whether to prepare a folder again whose images have changed since.

    Raises:
        UsageError: if there is no such set, a folder's images have changed, or the set's classes
            are not those of `config.num_classes`.
        RunError: if too many images are broken, the set cannot be written, or what is there cannot
            be read.
    """
    final = pathlib.Path(config.data_dir) / "prepared" / set_name(config)
    try:
        if not is_current(config, final, renew):
            final.parent.mkdir(parents=True, exist_ok=True)
            with locked(final.parent):
                if not is_current(config, final, renew):
                    make(config, final)
    except OSError as error:
        raise RunError(f"data cannot be prepared in {final}: {error}") from error
    prepared = Prepared(final)
    if config.num_classes not in (-1, 0, prepared.num_classes):
        raise UsageError(
            f"num_classes must be {prepared.num_classes}, the classes of {config.dataset}, -1 for "
            f"the same, or 0 to leave them out. Received: {config.num_classes}"
        )
    if config.num_classes != 0:
        check_classes(prepared.record["classes"], prepared.record["counts"], config.dataset)
    return prepared


def set_name(config):
    """A name for the folder of a prepared set: other sets have others, and none leads elsewhere."""
    key = [config.dataset, config.split]
    if config.dataset.startswith(folder.PREFIX):
        key[0] = str(folder.folder_of(config))
    if config.dataset == "synthetic":
        key.append(config.num_classes)
    legible = re.sub(r"\W+", "_", config.dataset.rpartition("/")[2], flags=re.ASCII)[:40]
    size = f"{config.image_size}x{config.image_size}x{config.image_channels}"
    return f"{legible}-{size}-{hashlib.sha256(repr(key).encode()).hexdigest()[:8]}"


def is_current(config, final, renew):
    """Whether `final` is there, and of the images that a folder has now, if it is still there."""
    if not final.exists():
        return False
    if not config.dataset.startswith(folder.PREFIX):
        return True
    now = folder.current_fingerprint(config)
    if now is None or now == Prepared(final).record.get("fingerprint"):
        return True
    if renew:
        return False
    raise UsageError(
        f"the images of {config.dataset} have changed since they were prepared: prepare them again "
        "with python -m keras_sagan.prepare and the same flags, or train on a copy of those of "
        f"then. Received: other names or sizes than in {final}"
    )


@contextlib.contextmanager
def locked(parent):
    """Holds `parent` for this process; the system frees it when the process ends."""
    with (parent / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("waiting: another process prepares data here\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(config, final):
    """Makes the set, and puts it in the place of an older one; only for the holder of the lock."""
    for left_over in final.parent.glob(UNFINISHED + "*"):
        shutil.rmtree(left_over)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=final.parent))
    try:
        write(open_source(config), config, temporary / "new")
        if final.exists():
            final.rename(temporary / "old")
        (temporary / "new").rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_source(config):
    """The `Source` that `config.dataset` names."""
    if config.dataset.startswith(folder.PREFIX):
        return folder.folder_source(config)
    if config.dataset == "synthetic":
        from keras_sagan.data.synthetic import synthetic_source

        return synthetic_source(config)
    # These load TensorFlow Datasets.
    from keras_sagan.data import builders

    if config.dataset == "digits":
        return builders.digits_source(config)
    if config.dataset.split(":")[0] == "symmetry":
        return builders.symmetry_source(config)
    return builders.tfds_source(config)
