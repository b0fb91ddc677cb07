"""Whether the files that a prepared set was made from have changed since."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from keras_sagan.errors import RunError
from keras_sagan.files import write_atomically

# Record of the files, in the folder of a prepared set.
NAME = "files.json"
# Most files that a quick check inspects, besides every folder.
LOOKED_AT = 1000


class Stamp(NamedTuple):
    """Size and time of a file."""

    size: int  # In bytes.
    time: int  # Of its last change, in nanoseconds.

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        return cls(status.st_size, status.st_mtime_ns)


class Changes(NamedTuple):
    """Names of files that differ from a record."""

    added: list[str]
    removed: list[str]
    changed: list[str]

    def __str__(self) -> str:
        parts = [f"{len(names)} {kind}, e.g. {names[0]}" for kind, names in self.found().items()]
        return "; ".join(parts)

    def found(self) -> dict[str, list[str]]:
        return {kind: names for kind, names in self._asdict().items() if names}


@dataclasses.dataclass(frozen=True)
class SourceFiles:
    """The files that a set is made from."""

    root: pathlib.Path
    folders: Mapping[str, int]  # Names below `root`, and when each last changed.
    files: Mapping[str, Stamp]  # Names below `root`, and their stamps.

    @classmethod
    def single(cls, *paths: pathlib.Path) -> "SourceFiles":
        """A few files of one folder, such as an archive."""
        files = {path.name: Stamp.of(path.stat()) for path in paths}
        return cls(paths[0].parent, {}, files)

    @property
    def fingerprint(self) -> str:
        """A hash of the names, sizes and times."""
        return hashlib.sha256(json.dumps(sorted(self.files.items())).encode()).hexdigest()

    def write(self, directory: pathlib.Path, hashes: Mapping[str, str]) -> None:
        """Records the files, and the known hashes of some, in the folder of a prepared set."""
        files = {
            name: [*stamp, hashes.get(name) or hash_file(self.root / name)]
            for name, stamp in self.files.items()
        }
        text = json.dumps({"folders": dict(self.folders), "files": files})
        write_atomically(directory / NAME, text)


NO_FILES = SourceFiles(pathlib.Path(), {}, {})


class Recorded:
    """What `SourceFiles.write` recorded in the folder of a prepared set."""

    def __init__(self, directory: pathlib.Path, record: dict[str, Any]) -> None:
        self.directory, self.folders = directory, record["folders"]
        self.stamps = {name: Stamp(*row[:2]) for name, row in record["files"].items()}
        self.hashes = {name: row[2] for name, row in record["files"].items()}

    def looks_current(self, root: pathlib.Path) -> bool:
        """Whether no folder below `root` has changed, nor any of up to `LOOKED_AT` files.

        New files change the time of their folder, so this misses only files that were overwritten.
        """
        try:
            folders = all((root / name).stat().st_mtime_ns == t for name, t in self.folders.items())
            names = [*self.stamps][:: len(self.stamps) // LOOKED_AT + 1]
            return folders and all(
                Stamp.of((root / name).stat()) == self.stamps[name] for name in names
            )
        except OSError:
            return False

    def compare(self, now: SourceFiles) -> Changes:
        """What has changed. A file with another time but equal size is compared by hash.

        So is a file that could not be read before: permissions and disks change without its time.
        If only times have changed, the record is updated, so that the next check is quick.
        """
        before = self.stamps
        added = sorted(now.files.keys() - before.keys())
        removed = sorted(before.keys() - now.files.keys())
        kept = before.keys() & now.files.keys()
        touched = [n for n in kept if now.files[n] != before[n] or self.hashes[n] is None]
        changed = sorted(name for name in touched if self.differs(name, now))
        changes = Changes(added, removed, changed)
        if not changes.found() and (touched or self.folders != now.folders):
            self.update(now)
        return changes

    def differs(self, name: str, now: SourceFiles) -> bool:
        """Whether the content of a file with another stamp differs."""
        if now.files[name].size != self.stamps[name].size:
            return True
        return hash_file(now.root / name) != self.hashes[name]

    def update(self, now: SourceFiles) -> None:
        """Records the current times; has no effect if the folder cannot be written."""
        try:
            now.write(self.directory, self.hashes)
        except OSError:
            return


def read_recorded(directory: pathlib.Path) -> Recorded | None:
    """The record in the folder of a prepared set; None in sets of earlier versions.

    Raises:
        RunError: if it is broken.
    """
    path = directory / NAME
    try:
        return Recorded(directory, json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"prepared data in {directory} cannot be read; remove it to prepare it again. "
            f"Received: {path.name}: {error}"
        ) from error


def hash_file(path: pathlib.Path) -> str | None:
    """The SHA-256 of a file's content; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
