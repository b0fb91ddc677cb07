"""Versions in a folder that a server watches: each is there whole, or not at all."""

import contextlib
import os
import pathlib

import tensorflow as tf

from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.files import locked, remove_unfinished, write_atomically, written_whole


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
        with locked(export_dir / ".lock", "exports"):
            if os.path.lexists(final):
                raise UsageError(
                    f"expected a version that is not there yet; --version gives another number. "
                    f"Received: {final}"
                )
            remove_unfinished(export_dir)
            for other, text in (beside or {}).items():
                if not (export_dir / other).exists():
                    write_atomically(export_dir / other, text)
            with written_whole(final) as path:
                yield path
    except (OSError, tf.errors.OpError) as error:
        raise RunError(f"{final} cannot be written: {reason_of(error)}") from error
