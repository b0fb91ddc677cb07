"""An image set in a folder of files, or in a ZIP archive of one."""

import collections
import os
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from keras_sagan.classes import list_first, show_name
from keras_sagan.data.listing import Listing, list_folder, list_zip, mixed
from keras_sagan.data.source import (
    Example,
    ImageSource,
    Member,
    Payload,
    check_classes,
    list_unreadable,
)
from keras_sagan.data.stamps import SourceFiles
from keras_sagan.errors import UsageError
from keras_sagan.values import ImageSet

# Names of folders of splits, in lowercase, and the names that `--split` has for them.
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test"}
SPLITS |= dict.fromkeys(("val", "valid", "validation", "dev"), "val")


class Selection(NamedTuple):
    """The images of the requested split."""

    names: list[str]  # Mixed.
    depth: int  # Number of folders, 0 or 1, that precede the class in a name.
    splits: dict[str, int]  # Numbers of images of each split; empty for a folder without splits.
    others: frozenset[str]  # Folders of other splits.


def folder_source(image_set: ImageSet) -> ImageSource:
    """The images in a folder and its subfolders; the first-level subfolders are the classes.

    A folder laid out as SPLIT/CLASS/IMAGE or SPLIT/IMAGE gives the images of `image_set.split`.
    Classes are in natural order, 2 before 10. Images are ordered by a hash of their names, which
    mixes the classes.

    Raises:
        UsageError: if the folder or the split does not exist, if there are no images, if images are
            both in the folder and in its subfolders, or if a class has no images.
        OSError: if the folder cannot be read.
    """
    top = image_set.dataset.path
    if not top.is_dir():
        received = image_set.dataset.text
        raise UsageError(f"dataset must be folder:PATH of a folder. Received: {received}")
    listing = list_folder(top)

    def files(names):
        return SourceFiles(top, listing.folders, {name: listing.images[name] for name in names})

    return tree_source(image_set, listing, files, lambda name: str(top / name))


def zip_source(image_set: ImageSet) -> ImageSource:
    """The images in a ZIP archive, by the rules of `folder_source`."""
    path = image_set.dataset.path
    try:
        with zipfile.ZipFile(path) as archive:
            listing, members = list_zip(archive)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        IsADirectoryError,
        FileNotFoundError,
        ValueError,  # E.g. a name that is not of the encoding it claims.
    ) as error:
        expected, received = "dataset must be zip:PATH of a ZIP archive", image_set.dataset.text
        raise UsageError(f"{expected}. Received: {received}: {error}") from error
    files = SourceFiles.single(path)
    return tree_source(
        image_set, listing, lambda _: files, lambda name: Member(str(path), members[name])
    )


def tree_source(
    image_set: ImageSet,
    listing: Listing,
    files: Callable[[Collection[str]], SourceFiles],
    payload: Callable[[str], Payload],
) -> ImageSource:
    """The source of a listed folder; `files` and `payload` map names to files and to a payload."""
    dataset = image_set.dataset
    if not (listing.images or listing.unreadable):
        endings = " ".join(sorted(listing.endings))
        raise UsageError(
            f"expected image files ({endings}) in {dataset.text}. Received: "
            f"{counted(listing.passed_over) or 'no files'}"
        )
    unreadable = [{"name": name, "reason": why} for name, why in listing.unreadable.items()]
    names, depth, splits, others = select_split(mixed(listing.images), image_set, unreadable)
    unreadable = [row for row in unreadable if row["name"].split("/")[0] not in others]
    classes = find_classes(listing, names, depth)
    numbers = {name: i for i, name in enumerate(classes)}
    labels = [numbers[name.split("/")[depth]] if classes else 0 for name in names]
    classes = classes or [dataset.path.name]
    if image_set.num_classes != 0 and names:
        counts = collections.Counter(labels)
        check_classes(classes, [counts[i] for i in range(len(classes))], dataset.text, unreadable)
    record = {
        "source": f"{dataset.kind} {dataset.path.name}",
        "version": None,
        "split": image_set.split if splits else None,
        "splits": splits,
        "passed_over": dict(listing.passed_over),
    }

    def examples() -> Iterator[Example]:
        for name, label in zip(names, labels, strict=True):
            yield Example(name, payload(name), label)

    readable = tuple(map(readable_name, classes))
    return ImageSource(record, readable, len(names), examples, unreadable, files(names))


def counted(counts: dict[str, int]) -> str:
    """Counts as text, the largest first: 6 .heic, 2 .pdf."""
    ordered = collections.Counter(counts).most_common()
    return list_first([f"{count:,} {show_name(name)}" for name, count in ordered])


def select_split(
    names: list[str], image_set: ImageSet, unreadable: Sequence[dict[str, str]]
) -> Selection:
    """The images of the requested split, or all images if the folders are not splits.

    The folders are splits if all are named like splits, or if one has the name of the requested
    split and all images are in folders below them. `unreadable` is for messages.
    """
    if not names:
        return Selection([], 0, {}, frozenset())
    split, text = image_set.split, image_set.dataset.text
    by_folder = collections.Counter(name.split("/")[0] for name in names if "/" in name)
    chosen = [find_tops(each, by_folder) for each in split.split("+")]
    is_nested = by_folder.total() == len(names)
    is_deep = is_nested and all(name.count("/") > 1 for name in names)
    if (is_nested and all(top.lower() in SPLITS for top in by_folder)) or (is_deep and any(chosen)):
        if not all(chosen):
            found = ", ".join(natural(by_folder))
            raise UsageError(
                f"split must be one of {found} in {text}. Received: split={split}"
                f"{list_unreadable(unreadable)}"
            )
        others = frozenset(by_folder) - set.union(*chosen)
        of_split = [name for name in names if name.split("/")[0] not in others]
        return Selection(of_split, 1, dict(by_folder), others)
    if split != "train":
        raise UsageError(
            f"split={split} needs images in SPLIT/CLASS/IMAGE or SPLIT/IMAGE. Received: {text} "
            "without such folders"
        )
    return Selection(names, 0, {}, frozenset())


def find_tops(split: str, folders: Collection[str]) -> set[str]:
    """The folders of a split: the one with its name, or else all whose names mean the same."""
    if split in folders:
        return {split}
    meaning = SPLITS.get(split.lower(), split)
    return {folder for folder in folders if SPLITS.get(folder.lower(), folder) == meaning}


def find_classes(listing: Listing, names: list[str], depth: int) -> list[str]:
    """Names of the classes, the folders at a depth; empty if there are no classes.

    Raises:
        UsageError: if some of the images are in folders of classes, and some are not.
    """
    unlabeled = [name for name in names if name.count("/") == depth]
    if unlabeled and len(unlabeled) < len(names):
        labeled = next(name for name in names if name.count("/") > depth)
        raise UsageError(
            "expected images either in one folder or in one subfolder per class, not both. "
            f"Received: {unlabeled[0]} and {labeled}"
        )
    if unlabeled:
        return []
    above = {tuple(name.split("/")[:depth]) for name in names}
    unreadable = (name[:-1] for name in listing.unreadable if name.endswith("/"))
    folders = [name.rpartition("/")[0] for name in names]
    paths = (path.split("/") for path in (*listing.folders, *unreadable, *folders) if path)
    return natural({path[depth] for path in paths if path[depth:] and tuple(path[:depth]) in above})


def natural(names: Collection[str]) -> list[str]:
    """Names in natural order: numbers in them compare by value."""

    def key(name):
        parts = re.split(r"(\d+)", name)
        # Python does not convert texts of thousands of digits.
        parts[1::2] = [(len(part.lstrip("0")), part.lstrip("0")) for part in parts[1::2]]
        return parts, name

    return sorted(names, key=key)


def readable_name(name: str) -> str:
    """A file name as text, also in a locale in which Python takes file names for ASCII."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")
