"""The files of a folder or an archive: images, what is passed over, and what cannot be read."""

import collections
import dataclasses
import functools
import hashlib
import itertools
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterable, Sequence

from keras_sagan.data.formats import image_extensions, is_image
from keras_sagan.data.stamps import Stamp

# What systems and programs leave beside images. Names with a leading dot are skipped anyway.
JUNK = {"@eaDir", "__MACOSX", "lost+found", "#recycle", "$RECYCLE.BIN", "System Volume Information"}
JUNK |= {"Thumbs.db", "desktop.ini", "ehthumbs.db"}
# Bytes that identify a file without an extension.
HEAD = 4096
# Flag of an encrypted file in an archive.
ENCRYPTED = 1


class LostLinkError(OSError):
    """A symbolic link leads nowhere."""


@dataclasses.dataclass
class Listing:
    """What is in a folder or an archive. Names are relative, with `/` between their parts."""

    images: dict[str, Stamp] = dataclasses.field(default_factory=dict)
    folders: dict[str, int] = dataclasses.field(default_factory=dict)  # With times, as in `Stamp`.
    # Numbers of files and folders that are passed over, by ending or kind.
    passed_over: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # Files and, with a `/` at the end, folders that cannot be read, with reasons.
    unreadable: dict[str, str] = dataclasses.field(default_factory=dict)
    endings: frozenset[str] = dataclasses.field(default_factory=image_extensions)  # Of images.

    def add_file(self, name: str, stamp: Callable[[], Stamp], head: Callable[[], bytes]) -> None:
        """Adds a file where it belongs; `stamp` looks it up, and `head` reads its first bytes."""
        base = name.rpartition("/")[2]
        ending = os.path.splitext(base)[1].lower()
        try:
            if kind := junk_kind(base):
                self.passed_over[kind] += 1
            elif ending in self.endings or (len(ending) < 2 and stamp() and is_image(head())):
                self.images[name] = stamp()
            else:
                self.passed_over[ending if len(ending) > 1 else "without extension"] += 1
        except OSError as error:
            # A broken link without an extension is taken for a folder.
            is_folder = isinstance(error, LostLinkError) and not ending
            self.unreadable[f"{name}/" if is_folder else name] = error.strerror or str(error)


def list_folder(top: pathlib.Path) -> Listing:
    """Everything below `top`; links to folders are followed.

    Raises:
        OSError: if `top` itself cannot be read.
    """
    listing, pending = Listing(), [""]
    while pending:
        folder = pending.pop()
        try:
            if folder and leads_back(top / folder, top):
                listing.passed_over["link to a folder above"] += 1
                continue
            time = (top / folder).stat().st_mtime_ns
            entries = list(os.scandir(top / folder))
        except OSError as error:
            if not folder:
                raise
            listing.unreadable[f"{folder}/"] = error.strerror or str(error)
            continue
        listing.folders[folder] = time
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if not is_folder(entry):
                listing.add_file(
                    name, functools.partial(stamp_of, entry), functools.partial(read_head, entry)
                )
            elif kind := junk_kind(entry.name):
                listing.passed_over[f"{kind}/"] += 1
            else:
                pending.append(name)
    return listing


def list_zip(archive: zipfile.ZipFile) -> tuple[Listing, dict[str, str]]:
    """Everything in an archive, and the names by which it knows the images.

    In the names of the listing, a single folder around everything is left out.
    """
    listing, files, folders, junk = Listing(), {}, set(), set()
    for entry in archive.infolist():
        # Some programs on Windows write backslashes; others begin names with ./ or /.
        *above, base = entry.filename.replace("\\", "/").split("/")
        above = tuple(folder for folder in above if folder not in ("", "."))
        if passed_over := find_junk(above):
            junk.add(passed_over)
            continue
        folders.add(above)
        if base and (*above, base) in files:
            listing.passed_over["earlier file of the same name"] += 1
        if base:
            files[*above, base] = entry
    listing.passed_over.update(f"{junk_kind(folder[-1])}/" for folder in junk)
    start = int(has_single_folder(files, folders))
    listing.folders.update({"/".join(folder[start:]): 0 for folder in folders})
    named = {"/".join(path[start:] or path): entry for path, entry in files.items()}
    for name, entry in named.items():
        if entry.flag_bits & ENCRYPTED:
            listing.unreadable[name] = "encrypted"
        else:
            stamp = Stamp(entry.file_size, entry.CRC)
            head = functools.partial(read_member_head, archive, entry)
            listing.add_file(name, lambda stamp=stamp: stamp, head)
    return listing, {name: entry.filename for name, entry in named.items()}


def has_single_folder(files: Iterable[tuple[str, ...]], folders: Iterable[tuple[str, ...]]) -> bool:
    """Whether all files but junk, and all folders, are in one folder; all are paths in parts."""
    kept = [path for path in files if not junk_kind(path[-1])]
    tops = {path[0] for path in (*kept, *folders) if path}
    return len(tops) == 1 and all(len(path) > 1 for path in kept)


def find_junk(folders: Sequence[str]) -> tuple[str, ...]:
    """The path of the first of nested folders that is passed over; empty if none is."""
    kinds = (i for i, folder in enumerate(folders, 1) if junk_kind(folder))
    return tuple(folders[: next(kinds, 0)])


def junk_kind(name: str) -> str | None:
    """The kind of a name that is passed over without a look; None for other names."""
    if name in JUNK:
        return name
    return "hidden" if name.startswith(".") else None


def is_folder(entry: os.DirEntry) -> bool:
    """Whether an entry is a folder, or a link to one; not if it links to itself, for example."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def stamp_of(entry: os.DirEntry) -> Stamp:
    """Size and time of a file; raises an `OSError` if it is not a regular file."""
    try:
        if entry.is_file():
            return Stamp.of(entry.stat())
    except OSError:
        if not entry.is_symlink():
            raise
    if entry.is_symlink():
        raise LostLinkError(f"broken link to {os.readlink(entry.path)}")
    raise OSError("not a file")


def read_head(entry: os.DirEntry) -> bytes:
    with open(entry.path, "rb") as file:
        return file.read(HEAD)


def read_member_head(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The first bytes of a file in an archive; raises an `OSError` if they cannot be read."""
    try:
        with archive.open(entry) as file:
            return file.read(HEAD)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise OSError(str(error)) from error


def leads_back(folder: pathlib.Path, top: pathlib.Path) -> bool:
    """Whether a symbolic link makes `folder` one of the folders between it and `top`."""
    above = itertools.takewhile(lambda path: path != top.parent, folder.parents)
    return os.path.realpath(folder) in map(os.path.realpath, above)


def mixed(names: Iterable[str]) -> list[str]:
    """Names in the order of their hashes, which mixes the classes and is always the same."""
    return sorted(names, key=lambda name: hashlib.sha256(os.fsencode(name)).digest())
