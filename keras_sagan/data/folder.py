"""An image set in a folder of files."""

import collections
import hashlib
import itertools
import os
import pathlib
from collections.abc import Iterator

from keras_sagan.data.pixels import image_extensions
from keras_sagan.data.source import Example, ImageSource, check_classes
from keras_sagan.errors import UsageError
from keras_sagan.values import ImageSet


def folder_source(image_set: ImageSet) -> ImageSource:
    """The images in a folder and its subfolders; the first level of subfolders are the classes.

    A folder laid out as SPLIT/CLASS/IMAGE, the layout of `ImageFolder` in TensorFlow Datasets,
    gives the images of `image_set.split`. Hidden files and files without an image's extension are
    skipped. Images are ordered by a hash of their names, which mixes the classes.

    Raises:
        UsageError: if the folder or the split does not exist, if there are no images, if images are
            both in the folder and in its subfolders, or if a class has no images.
    """
    top, dataset = image_set.dataset.folder, image_set.dataset.text
    if top is None or not top.is_dir():
        raise UsageError(f"dataset must be folder:PATH of a folder. Received: {dataset}")
    files = list_images(top)
    if not files:
        endings = " ".join(sorted(image_extensions()))
        raise UsageError(f"expected image files ({endings}) in the folder. Received: {top}")
    listing = hash_listing(top, files)
    root, files = select_split(top, files, image_set.split)
    classes, labels = label_files(root, files)
    if image_set.num_classes != 0:
        counts = collections.Counter(labels)
        check_classes(classes, [counts[i] for i in range(len(classes))], dataset)
    record = {
        "source": f"folder {top.name}",
        "version": None,
        "split": None if root == top else image_set.split,
        "fingerprint": listing,
    }

    def examples() -> Iterator[Example]:
        for path, label in zip(files, labels, strict=True):
            yield Example(str(path), str(root / path), label)

    return ImageSource(record, classes, len(files), examples)


def current_fingerprint(top: pathlib.Path) -> str | None:
    """The present `fingerprint` of a folder, as in `dataset.json`; None if it is gone."""
    return hash_listing(top, list_images(top)) if top.is_dir() else None


def hash_listing(top: pathlib.Path, files: list[pathlib.Path]) -> str:
    """A hash of the names and sizes of files."""
    total = hashlib.sha256()
    for path in files:
        total.update(b"%s %d\n" % (os.fsencode(path), (top / path).stat().st_size))
    return total.hexdigest()


def raise_error(error: OSError) -> None:
    """For `os.walk`, which would leave out a folder that it cannot read."""
    raise error


def list_images(top: pathlib.Path) -> list[pathlib.Path]:
    """Paths, relative to `top`, of all image files below it, ordered by a hash."""
    known, found = image_extensions(), []
    for folder, subfolders, names in os.walk(top, onerror=raise_error, followlinks=True):
        if leads_back(folder, top):
            subfolders.clear()
            continue
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            path = pathlib.Path(folder, name)
            if path.suffix.lower() in known and not name.startswith(".") and path.is_file():
                found.append(path.relative_to(top))
    return sorted(found, key=lambda path: hashlib.sha256(os.fsencode(path)).digest())


def leads_back(folder: str, top: pathlib.Path) -> bool:
    """Whether a symbolic link makes `folder` one of the folders between it and `top`."""
    above = itertools.takewhile(lambda path: path != top.parent, pathlib.Path(folder).parents)
    return os.path.realpath(folder) in map(os.path.realpath, above)


def select_split(top: pathlib.Path, files: list, split: str) -> tuple[pathlib.Path, list]:
    """The split's folder and its files, relative to it; `top` and `files` without splits."""
    in_split = [path for path in files if path.parts[0] == split]
    if in_split and all(len(path.parts) > 2 for path in files):
        return top / split, [path.relative_to(split) for path in in_split]
    if split != "train":
        raise UsageError(
            f"expected {top.name}/{split}/CLASS/IMAGE; a split needs this layout for the whole "
            f"folder. Received: split={split}"
        )
    return top, files


def label_files(root: pathlib.Path, files: list[pathlib.Path]) -> tuple[tuple[str, ...], list[int]]:
    """Names of the classes, and the label of each file."""
    unlabeled = [path for path in files if len(path.parts) == 1]
    if not unlabeled:
        folders = sorted(path.name for path in root.iterdir() if path.is_dir())
        classes = tuple(name for name in folders if not name.startswith("."))
        names = tuple(map(readable_name, classes))
        numbers = {name: i for i, name in enumerate(classes)}
        return names, [numbers[path.parts[0]] for path in files]
    if len(unlabeled) < len(files):
        labeled = next(path for path in files if len(path.parts) > 1)
        raise UsageError(
            "expected images either in the folder or in one subfolder per class, not both. "
            f"Received: {unlabeled[0]} and {labeled} in {root}"
        )
    return (readable_name(root.name),), [0] * len(files)


def readable_name(name: str) -> str:
    """A file name as text, also in a locale in which Python takes file names for ASCII."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")
