"""Any image set as `images.npy` and `labels.npy`, made once and memory-mapped since."""

import fcntl
import json
import os
import pathlib
import shutil
import tempfile

import numpy as np
from PIL import Image

from keras_sagan.errors import RunError, UsageError


class Prepared:
    """A prepared set.

    Attributes:
        images: uint8 `[N, image_size, image_size, image_channels]`, memory-mapped.
        labels: int32 `[N]`.
        num_classes: int.
        record: dict, the set's `dataset.json`.
    """

    def __init__(self, directory):
        try:
            self.images = np.load(directory / "images.npy", mmap_mode="r", allow_pickle=False)
            self.labels = np.load(directory / "labels.npy", allow_pickle=False)
            self.record = json.loads((directory / "dataset.json").read_text())
            self.num_classes = int(self.record["num_classes"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"prepared data in {directory} cannot be read; remove it to prepare it again. "
                f"Received: {error}"
            ) from error


def prepare(config):
    """The set of `config`, prepared under `config.data_dir` on first use.

    Written to a temporary folder that is renamed at the end, so an interrupted preparation leaves
    no half set. Of two processes at once the second waits for the first.

    Raises:
        UsageError: if the set's classes are not those of `config.num_classes`.
        RunError: if the folder cannot be written, or what is there cannot be read.
    """
    name = f"{config.dataset}-{config.image_size}x{config.image_size}x{config.image_channels}"
    if config.dataset == "synthetic":
        name += f"-{config.num_classes}"
    final = pathlib.Path(config.data_dir) / "prepared" / name
    if not final.exists():
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with (final.parent / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not final.exists():
                    write(config, final)
        except OSError as error:
            raise RunError(f"data cannot be prepared in {final}: {error}") from error
    prepared = Prepared(final)
    classes = prepared.num_classes
    if config.num_classes not in (0, classes):
        raise UsageError(
            f"num_classes must be {classes}, the classes of {config.dataset}, or 0 to leave them "
            f"out. Received: {config.num_classes}"
        )
    return prepared


def write(config, final):
    images, labels, source = SOURCES[config.dataset](config)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    try:
        np.save(temporary / "images.npy", images)
        np.save(temporary / "labels.npy", labels.astype(np.int32))
        record = {"dataset": config.dataset, "count": len(images), **source}
        (temporary / "dataset.json").write_text(json.dumps(record, indent=2) + "\n")
        os.chmod(temporary, 0o755)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def digits(config):
    """The handwritten digits, at the size and with the channels of `config`."""
    from keras_sagan.data.digits import load

    images, labels, version = load(os.path.join(config.data_dir, "tfds"))
    record = {
        "source": f"TFDS builder digits {version}, split train",
        "num_classes": 10,
        "preprocessing": f"resized to {config.image_size} pixels, bicubic (Pillow)",
    }
    return np.stack([resize(image, config) for image in images]), labels, record


def synthetic(config):
    """1,024 images of uniform noise, for measuring speed without a data set."""
    rng = np.random.default_rng(0)
    shape = (1024, config.image_size, config.image_size, config.image_channels)
    classes = max(config.num_classes, 1)
    record = {"source": "numpy, seed 0", "num_classes": classes, "preprocessing": "none"}
    return rng.integers(0, 256, shape, np.uint8), rng.integers(0, classes, 1024), record


def resize(image, config):
    """A uint8 `[h, w, 1]` image at the size and with the channels of `config`."""
    size = (config.image_size, config.image_size)
    resized = np.asarray(Image.fromarray(image[..., 0]).resize(size, Image.Resampling.BICUBIC))
    return np.repeat(resized[..., None], config.image_channels, axis=-1)


# By the name of `Config.dataset`: config to images, labels and what the record says of them.
SOURCES = {"digits": digits, "synthetic": synthetic}
