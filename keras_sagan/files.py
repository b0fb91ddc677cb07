"""Atomic writes of files and folders, and locks that one process holds."""

import contextlib
import errno
import fcntl
import functools
import os
import pathlib
import platform
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import IO

from keras_sagan.progress import say_line

# Prefix of folders being written. A kill may leave one; `remove_unfinished` removes it.
UNFINISHED = ".unfinished-"
# Errors of file systems that lack an operation, e.g. locks on some NFS and Lustre mounts.
UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
# Suffixes of the file that stands in for a lock there, and of the one that guards its takeover.
HELD, TAKEOVER = ".held", ".takeover"
# Seconds between two attempts to create the file.
POLL = 1.0
# Paths of such files that this process holds; its threads change them one at a time.
HELD_HERE: set[pathlib.Path] = set()
CHANGING = threading.Lock()


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


@contextlib.contextmanager
def literal_path(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path of `folder` that TensorFlow takes as it is.

    TensorFlow reads `*?[]{}` and backslashes in paths as patterns, and wants UTF-8. Linux has other
    paths for open folders, which are valid in this context.
    """
    if re.fullmatch(r"[\w./-]*", str(folder), re.ASCII):
        yield folder
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield pathlib.Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def synchronize(path: pathlib.Path) -> None:
    """Flushes a file, or the listing of a folder, to disk."""
    if path.is_dir() or path.is_file():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some file systems, e.g. of FUSE, cannot flush folders.
            if not path.is_dir() or error.errno not in {*UNSUPPORTED, errno.EINVAL}:
                raise
        finally:
            os.close(descriptor)


def remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what killed `written_whole` calls left; only the lock's holder may call this."""
    for left_over in folder.glob(UNFINISHED + "*"):
        shutil.rmtree(left_over)


@contextlib.contextmanager
def locked(path: pathlib.Path, wait_for: str | None = None) -> Iterator[IO[str]]:
    """Holds the lock file `path` for this process; the system frees it when the process ends.

    Where the file system has no locks, the file `PATH.held` stands in for one. A kill leaves it;
    the next process on this host takes it over.

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
    with path.open("a+", encoding="utf-8") as file:
        try:
            supported = lock_file(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if wait_for is None:
                file.seek(0)
                raise BlockingIOError(file.read().strip() or str(error)) from error
            say_line(f"waiting: another process {wait_for} here")
            supported = lock_file(file, fcntl.LOCK_EX)
        with contextlib.nullcontext() if supported else held(path, wait_for):
            yield file


def lock_file(file: IO[str], operation: int) -> bool:
    """Locks an open file in the way that its file system supports; returns False if it has none.

    Raises:
        BlockingIOError: if `operation` does not wait and another process holds the lock.
        OSError: if locking fails for another reason.
    """
    for lock in (fcntl.flock, fcntl.lockf):
        try:
            lock(file, operation)
            return True
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
    return False


@contextlib.contextmanager
def held(path: pathlib.Path, wait_for: str | None) -> Iterator[None]:
    """Holds the file that stands in for the lock `path`; arguments and errors as of `locked`."""
    path = path.with_name(path.name + HELD).absolute()
    say_once(f"note: no locks on the file system of {path.parent}: files *{HELD} stand in for them")
    waiting = False
    while True:
        try:
            claim(path)
            break
        except BlockingIOError as error:
            if wait_for is None:
                raise
            if not waiting:
                say_line(f"waiting: another process {wait_for} here: {error}")
            waiting = True
            time.sleep(POLL)
    try:
        yield
    finally:
        with CHANGING:
            path.unlink(missing_ok=True)
            HELD_HERE.discard(path)


@functools.cache
def say_once(line: str) -> None:
    """Writes a line to standard error unless this process already has."""
    say_line(line)


def claim(path: pathlib.Path) -> None:
    """Makes `path` a file that names this process.

    Raises:
        BlockingIOError: if it names another process, which may be running.
    """
    own, guard = f"process {os.getpid()} on {platform.node()}", path.with_name(path.name + TAKEOVER)
    with CHANGING:
        claimed = create(path, own)
        if not claimed and has_ended(path) and create(guard, own):
            # Only the creator of the guard may replace the file: two would both believe to hold it.
            try:
                if claimed := has_ended(path):
                    write_atomically(path, own)
            finally:
                guard.unlink()
        if not claimed:
            raise BlockingIOError(f"{read_holder(path)}; if it has ended, remove {path}")
        HELD_HERE.add(path)


def create(path: pathlib.Path, content: str) -> bool:
    """Creates a file; returns False if it exists."""
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def read_holder(path: pathlib.Path) -> str:
    """What the holder of a file wrote to it; "unknown process" if it has not written yet."""
    with contextlib.suppress(FileNotFoundError):
        if holder := path.read_text(encoding="utf-8", errors="replace").strip():
            return holder
    return "unknown process"


def has_ended(path: pathlib.Path) -> bool:
    """Whether the process that a file names ran on this host and has ended."""
    named = re.fullmatch(r"process (\d{1,9}) on (.*)", read_holder(path))
    if not named or named[2] != platform.node():
        return False
    number = int(named[1])
    if number == os.getpid():
        # An earlier process had the same number, e.g. the first of a container that restarted.
        return path not in HELD_HERE
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
