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
            name = name if ending else f"{name}/"
            self.unreadable[name] = error.strerror or str(error)


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
            if not entry.is_dir():
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
    listing, entries = Listing(), {}
    for entry in archive.infolist():
        name = entry.filename.replace("\\", "/")  # As some programs on Windows write them.
        if entries.setdefault(name, entry) is not entry:
            listing.passed_over["earlier file of the same name"] += 1
            entries[name] = entry
    paths = {name: name.split("/") for name in entries}
    paths = {name: parts for name, parts in paths.items() if not find_junk(parts[:-1])}
    junk = {find_junk(name.split("/")[:-1]) for name in entries} - {()}
    listing.passed_over.update(f"{junk_kind(folder[-1])}/" for folder in junk)
    tops = {parts[0] for parts in paths.values()}
    if len(tops) == 1 and all(len(parts) > 1 for parts in paths.values()):
        paths = {name: parts[1:] for name, parts in paths.items() if parts[1:] != [""]}
    members = {"/".join(parts): entries[name].filename for name, parts in paths.items()}
    for name, entry in ((name, archive.getinfo(member)) for name, member in members.items()):
        if entry.is_dir():
            listing.folders[name[:-1]] = 0
        elif entry.flag_bits & ENCRYPTED:
            listing.unreadable[name] = "encrypted"
        else:
            stamp = Stamp(entry.file_size, entry.CRC)
            head = functools.partial(read_member_head, archive, entry)
            listing.add_file(name, lambda stamp=stamp: stamp, head)
    return listing, members


def find_junk(folders: Sequence[str]) -> tuple[str, ...]:
    """The path of the first of nested folders that is passed over; empty if none is."""
    kinds = (i for i, folder in enumerate(folders, 1) if junk_kind(folder))
    return tuple(folders[: next(kinds, 0)])


def junk_kind(name: str) -> str | None:
    """The kind of a name that is passed over without a look; None for other names."""
    if name in JUNK:
        return name
    return "hidden" if name.startswith(".") else None


def stamp_of(entry: os.DirEntry) -> Stamp:
    """Size and time of a file; raises an `OSError` if it is not a regular file."""
    if not entry.is_file():
        linked = entry.is_symlink()
        raise OSError(f"broken link to {os.readlink(entry.path)}" if linked else "not a file")
    return Stamp.of(entry.stat())


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
