"""Atomic writes of files and folders, and locks that one process holds."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO

from keras_sagan.progress import say_line

# Prefix of folders being written. A kill may leave one; `remove_unfinished` removes it.
UNFINISHED = ".unfinished-"


def write_atomically(path: pathlib.Path, content: str | bytes) -> None:
    """Replaces the file `path`: readers see the old content or the new one, never a part.

    Args:
        path: in a folder that exists.
        content: text, written as UTF-8, or bytes.

    Raises:
        OSError: if it cannot be written; then the old file is unchanged.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def written_whole(final: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path to write a file or folder to; on exit, it is renamed to `final`.

    Everything is flushed to disk before the rename, so a power loss leaves it whole or absent.

    Args:
        final: in a folder that exists. It must not exist, but a file may replace a file.

    Raises:
        OSError: if it cannot be written; then `final` is unchanged.
    """
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=final.parent))
    try:
        yield temporary / final.name
        for path in (temporary, *temporary.rglob("*")):
            synchronize(path)
        (temporary / final.name).rename(final)
        synchronize(final.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def synchronize(path: pathlib.Path) -> None:
    """Flushes a file, or the listing of a folder, to disk."""
    if path.is_dir() or path.is_file():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what killed `written_whole` calls left; only the lock's holder may call this."""
    for left_over in folder.glob(UNFINISHED + "*"):
        shutil.rmtree(left_over)


@contextlib.contextmanager
def locked(path: pathlib.Path, wait_for: str | None = None) -> Iterator[IO[str]]:
    """Holds the lock file `path` for this process; the system frees it when the process ends.

    Args:
        path: of the file, created if absent, in a folder that exists.
        wait_for: what another holder is doing, e.g. "prepares data". If given, this process tells
            the user and waits. None: it does not wait.

    Yields:
        The open file, in which the holder may identify itself.

    Raises:
        BlockingIOError: if another process holds it and `wait_for` is None.
        OSError: if it cannot be opened or locked.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if wait_for is None:
                file.seek(0)
                raise BlockingIOError(file.read().strip()) from error
            say_line(f"waiting: another process {wait_for} here")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file
