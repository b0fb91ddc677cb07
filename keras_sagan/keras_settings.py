"""The backend that Keras will take, known before it is imported."""

import contextlib
import json
import os
import pathlib

BACKEND = "tensorflow"


def settings_file() -> pathlib.Path:
    """The path of the user's `keras.json`, where Keras looks for it."""
    home = os.environ.get("KERAS_HOME")
    if home is None:
        user = os.path.expanduser("~")
        home = os.path.join(user if os.access(user, os.W_OK) else "/tmp", ".keras")
    return pathlib.Path(os.path.expanduser(os.path.join(home, "keras.json")))


def check_backend() -> None:
    """Checks that Keras will run on TensorFlow.

    Raises:
        ImportError: if a variable or a file says otherwise.
    """
    if backend := os.environ.get("KERAS_BACKEND"):
        source, remedy = "KERAS_BACKEND", f"unset KERAS_BACKEND or set it to {BACKEND!r}"
    else:
        backend, source = BACKEND, str(settings_file())
        remedy = f'set "backend" to "{BACKEND}" there, or set KERAS_BACKEND={BACKEND}'
        with contextlib.suppress(OSError, ValueError, AttributeError):
            backend = json.loads(settings_file().read_text("utf-8")).get("backend", BACKEND)
    if backend != BACKEND:
        raise ImportError(
            f"keras_sagan runs on the TensorFlow backend of Keras: {remedy}. "
            f"Received: backend={backend!r} in {source}"
        )
