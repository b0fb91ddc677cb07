"""Versions in a folder that a server watches: each is complete or absent."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import tensorflow as tf

from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.files import locked, remove_unfinished, write_atomically, written_whole


@contextlib.contextmanager
def new_version(
    export_dir: pathlib.Path, name: str, beside: dict[str, str] | None = None
) -> Iterator[pathlib.Path]:
    """Gives a path to write to, which becomes `export_dir / name` on leaving.

    A second process waits for the first. What a killed process left behind is removed.

    Args:
        export_dir: folder, created if absent.
        name: of the file or folder.
        beside: name to text of files that are first added to `export_dir`. Existing ones stay as
            they are, because their owner may have changed them.

    Raises:
        UsageError: if the version exists.
        RunError: if it cannot be written.
    """
    final = export_dir / name
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        with locked(export_dir / ".lock", "exports"):
            if os.path.lexists(final):
                raise UsageError(
                    "expected a version that does not exist yet; --version sets another number. "
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
