"""SAGAN (Zhang et al. 2019, https://arxiv.org/abs/1805.08318) on TensorFlow and Keras 3."""

import os

__version__ = "0.2.0"

if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
    raise ImportError(
        "keras_sagan runs on the TensorFlow backend of Keras: unset KERAS_BACKEND or set it to "
        f"'tensorflow'. Received: KERAS_BACKEND={os.environ['KERAS_BACKEND']!r}"
    )
# TensorFlow's start-up notices; its warnings and errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
