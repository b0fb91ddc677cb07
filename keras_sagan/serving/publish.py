"""Versions in a folder that a server watches: each is there whole, or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile

import tensorflow as tf

from keras_sagan.data.prepare import locked
from keras_sagan.errors import RunError, UsageError, reason_of

# A version that is being written. Servers take folders whose name is an integer, no others.
UNFINISHED = ".unfinished-"


@contextlib.contextmanager
def new_version(export_dir, name, beside=None):
    """Gives a path to write to; what is there at the end becomes `export_dir / name`.

    Of two processes at once the second waits for the first. What a killed one has left is removed.

    Args:
        export_dir: path, made if it is not there.
        name: str, of a file or folder.
        beside: dict of names and texts: files that are added to `export_dir`, first, if they are
            not there, since their owner may have changed them.

    Raises:
        UsageError: if it exists.
        RunError: if it cannot be written.
    """
    export_dir = pathlib.Path(export_dir)
    final = export_dir / name
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        with locked(export_dir, "exports"):
            if os.path.lexists(final):
                raise UsageError(
                    f"expected a version that is not there yet; --version gives another number. "
                    f"Received: {final}"
                )
            for left_over in export_dir.glob(UNFINISHED + "*"):
                shutil.rmtree(left_over)
            temporary = pathlib.Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=export_dir))
            try:
                add_missing(beside or {}, export_dir, temporary)
                yield temporary / name
                synchronize(temporary)
                (temporary / name).rename(final)
                synchronize(export_dir)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except (OSError, tf.errors.OpError) as error:
        raise RunError(f"{final} cannot be written: {reason_of(error)}") from error


def add_missing(files, folder, temporary):
    for name, text in files.items():
        if not (folder / name).exists():
            (temporary / name).write_text(text)
            (temporary / name).rename(folder / name)


def synchronize(folder):
    """A rename is safe from a loss of power when what it names is on the disk."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() or path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
