"""Images in a folder as a set."""

import collections
import hashlib
import itertools
import os
import pathlib

from keras_sagan.data.pixels import extensions
from keras_sagan.data.source import Example, Source, check_classes
from keras_sagan.errors import UsageError

PREFIX = "folder:"


def folder_of(config):
    """The absolute path that `dataset=folder:PATH` names."""
    path = os.path.expanduser(config.dataset.removeprefix(PREFIX))
    return pathlib.Path(os.path.abspath(path))


def folder_source(config):
    """The images of a folder and of its subfolders; those of its first level are the classes.

    A folder that is laid out as SPLIT/CLASS/IMAGE, as the `ImageFolder` of TensorFlow Datasets
    reads it, gives the images of `config.split`. Hidden files, and files whose names do not end as
    an image's, are passed over. The order is that of a hash of the names, so that classes mix.

    Raises:
        UsageError: if there is no such folder or split, no image, images both in the folder and in
            its subfolders, or a class without images.
    """
    top = folder_of(config)
    if config.dataset == PREFIX or not top.is_dir():
        raise UsageError(f"dataset must be folder:PATH of a folder. Received: {config.dataset}")
    files = image_files(top)
    if not files:
        endings = " ".join(sorted(extensions()))
        raise UsageError(f"expected image files ({endings}) in the folder. Received: {top}")
    listed = fingerprint(top, files)
    root, files = of_split(top, files, config.split)
    unlabeled = [path for path in files if len(path.parts) == 1]
    if unlabeled and len(unlabeled) < len(files):
        inside = next(path for path in files if len(path.parts) > 1)
        raise UsageError(
            "expected images in the folder, or one subfolder of images a class, not both. "
            f"Received: {unlabeled[0]} and {inside} in {root}"
        )
    classes = (root.name,) if unlabeled else class_names(root)
    numbers = {name: i for i, name in enumerate(classes)}
    labels = [0 if unlabeled else numbers[path.parts[0]] for path in files]
    if config.num_classes != 0:
        counts = collections.Counter(labels)
        check_classes(classes, [counts[i] for i in range(len(classes))], config.dataset)
    record = {
        "source": f"folder {top.name}",
        "version": None,
        "split": None if root == top else config.split,
        "fingerprint": listed,
    }

    def examples():
        for path, label in zip(files, labels, strict=True):
            yield Example(str(path), str(root / path), label)

    return Source(record, classes, len(files), examples)


def current_fingerprint(config):
    """What `dataset.json` calls `fingerprint`, of the folder now; None if there is none."""
    top = folder_of(config)
    return fingerprint(top, image_files(top)) if top.is_dir() else None


def fingerprint(top, files):
    """A hash of the names and sizes of files."""
    total = hashlib.sha256()
    for path in files:
        total.update(b"%s %d\n" % (os.fsencode(path), (top / path).stat().st_size))
    return total.hexdigest()


def image_files(top):
    """Paths below `top`, relative to it, of the files named as images, ordered by a hash."""
    known, found = extensions(), []
    for folder, subfolders, names in os.walk(top, followlinks=True):
        if leads_back(folder, top):
            subfolders.clear()
            continue
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            path = pathlib.Path(folder, name)
            if path.suffix.lower() in known and not name.startswith(".") and path.is_file():
                found.append(path.relative_to(top))
    return sorted(found, key=lambda path: hashlib.sha256(os.fsencode(path)).digest())


def leads_back(folder, top):
    """Whether `folder`, by a symbolic link, is one of those between it and `top`."""
    above = itertools.takewhile(lambda path: path != top.parent, pathlib.Path(folder).parents)
    return os.path.realpath(folder) in map(os.path.realpath, above)


def of_split(top, files, split):
    """The folder of the split, and its files relative to it; `top` itself if it has no splits."""
    in_split = [path for path in files if path.parts[0] == split]
    if in_split and all(len(path.parts) > 2 for path in files):
        return top / split, [path.relative_to(split) for path in in_split]
    if split != "train":
        raise UsageError(
            f"expected {top.name}/{split}/CLASS/IMAGE, as all of the folder must be laid out for "
            f"a split. Received: split={split}"
        )
    return top, files


def class_names(root):
    names = sorted(path.name for path in root.iterdir() if path.is_dir())
    return tuple(name for name in names if not name.startswith("."))
