"""The settings of Keras, without importing it: with some of them, the import fails."""

import json
import os
import pathlib
from typing import Any

from keras_sagan.diagnosis.section import Section
from keras_sagan.keras_settings import settings_file

DEFAULTS = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32"}


def examine_keras() -> Section:
    """The settings that Keras will have, and the file that they come from."""
    path = settings_file()
    settings, state, problems = read_settings(path)
    settings = DEFAULTS | {name: str(settings[name]) for name in DEFAULTS if name in settings}
    source = str(path)
    if os.environ.get("KERAS_BACKEND"):
        settings["backend"], source = os.environ["KERAS_BACKEND"], "the variable KERAS_BACKEND"
    facts = settings | {"settings file": f"{path} ({state})"}
    return Section("Keras", facts, [*problems, *find_problems(settings, path, source)])


def read_settings(path: pathlib.Path) -> tuple[dict[str, Any], str, list[str]]:
    """The settings in a file, what state the file is in, and its problems."""
    if not os.path.exists(path):
        return {}, "absent: defaults apply", []
    try:
        settings = json.loads(path.read_text("utf-8"))
    except ValueError:
        return {}, "no JSON: defaults apply", [f"{path}: no JSON: Keras ignores it; remove it"]
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        if isinstance(settings, dict):
            return settings, "read", []
        reason = "no JSON object"
    return {}, reason, [f"{path}: {reason}: Keras cannot be imported; remove it"]


def find_problems(settings: dict[str, str], path: pathlib.Path, source: str) -> list[str]:
    """What does not work with these settings; `source` is where the backend comes from."""
    problems = []
    if settings["backend"] != "tensorflow":
        problems.append(
            f"backend={settings['backend']} in {source}: keras_sagan runs on the TensorFlow "
            "backend of Keras only, so every command fails; set it to tensorflow"
        )
    if settings["image_data_format"] == "channels_first":
        problems.append(
            f"image_data_format=channels_first in {path}: the layers of keras_sagan raise "
            "ValueError in models of your own (commands are not affected); set it to channels_last"
        )
    return problems
