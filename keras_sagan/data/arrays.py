"""Image sets in files of arrays: NPZ, and IDX as MNIST is distributed."""

import gzip
import pathlib
import re
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from keras_sagan.data.listing import mixed
from keras_sagan.data.source import Example, ImageSource, check_classes
from keras_sagan.data.stamps import SourceFiles
from keras_sagan.errors import UsageError
from keras_sagan.values import ImageSet

NPZ = (
    "dataset must be npz:PATH of a file with images, uint8 [N,H,W] or [N,H,W,C], and optionally "
    "labels, int [N] from 0, and class_names"
)
NPZ_NAMES = ("images", "labels", "class_names")
IDX = "dataset must be idx:PATH of a folder with SPLIT-images-idx3-ubyte, compressed or not"
# Names of IDX files; MNIST calls its test split t10k.
IDX_NAME = re.compile(r"(?:.*-)?(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?")
# The first bytes of an IDX file of uint8, before the number of its dimensions.
UINT8 = b"\x00\x00\x08"
# A set with larger labels is damaged.
MOST_CLASSES = 2**20

Arrays = tuple[np.ndarray, np.ndarray | None]


def npz_source(image_set: ImageSet) -> ImageSource:
    """The images of an NPZ file, with its `labels` and `class_names` if it has them.

    Raises:
        UsageError: if it is not an NPZ file of images, or cannot be read.
    """
    path, received = image_set.dataset.path, f"Received: {image_set.dataset.text}"
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            names = arrays.files  # A NPY file has none.
            found = {name: arrays[name] for name in NPZ_NAMES if name in names}
    except Exception as error:  # Its readers raise anything on a broken file.
        raise UsageError(f"{NPZ}. {received}: {error}") from error
    if "images" not in found:
        raise UsageError(f"{NPZ}. {received}, which has {', '.join(names) or 'nothing'}")
    if image_set.split != "train":
        raise UsageError(f"split must be train: npz has no others. Received: {image_set.split}")
    labels = found.get("labels")
    if labels is not None and labels.shape[1:] == (1,):
        labels = labels[:, 0]
    parts = {"train": (found["images"], labels)}
    return array_source(image_set, parts, found.get("class_names"), [path])


def idx_source(image_set: ImageSet) -> ImageSource:
    """The images of a split, or of several as in train+test, in a folder of IDX files.

    Raises:
        UsageError: if they are not there.
        OSError: if they cannot be read.
    """
    text, found = image_set.dataset.text, find_idx(image_set.dataset.path)
    if not found:
        raise UsageError(f"{IDX}. Received: {text}")
    splits = image_set.split.split("+")
    if not set(splits) <= set(found):
        raise UsageError(
            f"split must be {' or '.join(found)}, or a sum of them, in {text}. "
            f"Received: {image_set.split}"
        )
    chosen = {split: found[split] for split in splits}
    parts = {
        split: (read_idx(files["images"]), read_idx(files["labels"]) if "labels" in files else None)
        for split, files in chosen.items()
    }
    paths = [path for files in chosen.values() for path in files.values()]
    return array_source(image_set, parts, None, paths)


def find_idx(folder: pathlib.Path) -> dict[str, dict[str, pathlib.Path]]:
    """The files of `images` and `labels` of each split that has images.

    An uncompressed file takes precedence over its `.gz`.

    Raises:
        UsageError: if the folder has several sets.
    """
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if match := IDX_NAME.fullmatch(path.name):
            files = found.setdefault(match[1].replace("t10k", "test"), {})
            first = files.setdefault(match[2], path)
            if path.name not in (first.name, f"{first.name}.gz"):
                raise UsageError(f"{IDX}, of one set. Received: {first.name} and {path.name}")
    return {split: files for split, files in found.items() if "images" in files}


def read_idx(path: pathlib.Path) -> np.ndarray:
    """The array of an IDX file; raises a `UsageError` if it is broken or not of uint8."""
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        start = 4 + 4 * data[3]
        array = np.frombuffer(data, np.uint8, offset=start)
        if not data.startswith(UINT8):
            raise ValueError(f"it begins with {data[:4].hex()}")
        return array.reshape(np.frombuffer(data[4:start], ">u4"))
    except (OSError, EOFError, IndexError, ValueError, zlib.error) as error:
        raise UsageError(f"expected an IDX file of uint8. Received: {path}: {error}") from error


def array_source(
    image_set: ImageSet,
    parts: dict[str, Arrays],
    class_names: np.ndarray | None,
    paths: Sequence[pathlib.Path],
) -> ImageSource:
    """The source of the images and labels of each split, read from `paths`.

    Raises:
        UsageError: if the arrays are invalid or do not match.
    """
    dataset, text = image_set.dataset, image_set.dataset.text
    for images, labels in parts.values():
        check_images(images, text)
        if labels is not None:
            check_labels(labels, len(images), text)
    labels = {
        f"{split}[{i}]": 0 if of_split is None else int(of_split[i])
        for split, (images, of_split) in parts.items()
        for i in range(len(images))
    }
    pixels = {f"{split}[{i}]": each for split in parts for i, each in enumerate(parts[split][0])}
    is_labeled = has_labels(parts, text)
    classes = name_classes(class_names, max(labels.values()), text)
    classes = classes if is_labeled else (dataset.path.name,)
    if image_set.num_classes != 0:
        counts = np.bincount([*labels.values()], minlength=len(classes))
        check_classes(classes, counts.tolist(), text, ())

    def examples() -> Iterator[Example]:
        for name in mixed(labels):
            height, width = pixels[name].shape[:2]
            yield Example(name, pixels[name].reshape(height, width, -1), labels[name])

    record = {"source": f"{dataset.kind} {dataset.path.name}", "version": None}
    record["split"] = image_set.split
    files = SourceFiles.single(*paths)
    return ImageSource(record, classes, len(labels), examples, (), files)


def has_labels(parts: dict[str, Arrays], text: str) -> bool:
    """Whether splits have labels; raises a `UsageError` if only some of them do."""
    unlabeled = [split for split, (_, labels) in parts.items() if labels is None]
    if unlabeled and len(unlabeled) < len(parts):
        raise UsageError(
            f"expected labels of every split of {'+'.join(parts)} in {text}. "
            f"Received: none of {', '.join(unlabeled)}"
        )
    return not unlabeled


def name_classes(names: np.ndarray | None, largest: int, text: str) -> tuple[str, ...]:
    """Names of the classes up to label `largest`: the given ones, or their numbers.

    Raises:
        UsageError: if there are too few.
    """
    if names is None:
        return tuple(map(str, range(largest + 1)))
    found = [each.decode() if isinstance(each, bytes) else str(each) for each in np.ravel(names)]
    if len(found) <= largest:
        raise UsageError(
            f"expected a class name for each label up to {largest} in {text}. "
            f"Received: {len(found)} names"
        )
    return tuple(found)


def check_images(images: np.ndarray, text: str) -> None:
    """Raises a `UsageError` if these are not images."""
    has_channels = images.ndim == 4 and images.shape[3] in (1, 3, 4)
    if images.dtype != np.uint8 or not (images.ndim == 3 or has_channels) or not images.size:
        raise UsageError(
            f"expected images as uint8 [N,H,W], or [N,H,W,C] with 1, 3 or 4 channels, in {text}. "
            f"Received: {images.dtype} {list(images.shape)}"
        )


def check_labels(labels: np.ndarray, count: int, text: str) -> None:
    """Raises a `UsageError` if these are not the labels of `count` images."""
    is_int = labels.size and labels.dtype.kind in "iu"
    least, most = (int(labels.min()), int(labels.max())) if is_int else (-1, -1)
    if not 0 <= least <= most < MOST_CLASSES or labels.shape != (count,):
        found = f", from {least} to {most}" if is_int else ""
        raise UsageError(
            f"expected labels as {count} ints, from 0 and below {MOST_CLASSES:,}, in {text}. "
            f"Received: {labels.dtype} {list(labels.shape)}{found}"
        )
