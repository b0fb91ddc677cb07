"""SAGAN (Zhang et al. 2019, https://arxiv.org/abs/1805.08318) on TensorFlow and Keras 3."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_sagan import callbacks, layers, losses, metrics, networks, visual
    from keras_sagan.api import SAGAN, load
    from keras_sagan.packaged import presets

__version__ = "0.2.0"
__all__ = [
    "SAGAN",
    "callbacks",
    "layers",
    "load",
    "losses",
    "metrics",
    "networks",
    "presets",
    "visual",
]
# The module of each public name that is not itself a module.
SOURCES = {"SAGAN": "keras_sagan.api", "load": "keras_sagan.api", "presets": "keras_sagan.packaged"}

# TensorFlow's start-up notices; its warnings and errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")


def __getattr__(name: str) -> Any:
    # TensorFlow takes seconds to import, so nothing is loaded before it is used.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in SOURCES:
        return getattr(importlib.import_module(SOURCES[name]), name)
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return __all__
