"""A cross-check of our metrics: TF-GAN's own, on the same features.

`import tensorflow_gan` fails on TensorFlow 2.16 and later, because its training code needs
`tf.estimator`. Its metrics only need TensorFlow and one function of TensorFlow Probability. This
module therefore imports them without running the `__init__.py` of the packages around them, and
supplies that function itself.
"""

import functools
import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_sagan.errors import RunError
from keras_sagan.metrics import kernel
from keras_sagan.metrics.inception_score import split_logits

# Beyond this relative difference, the two do not compute the same thing.
TOLERANCE = 1e-6


@functools.cache
def load_library() -> types.ModuleType | None:
    """TF-GAN's `classifier_metrics`, imported once; None where TF-GAN is not installed."""
    spec = importlib.util.find_spec("tensorflow_gan")
    if spec is None or spec.submodule_search_locations is None:
        return None
    (root,) = spec.submodule_search_locations
    for name in ("tensorflow_gan", "tensorflow_gan.python", "tensorflow_gan.python.eval"):
        package = types.ModuleType(name)
        package.__package__ = name
        package.__path__ = [os.path.join(root, *name.split(".")[1:])]
        sys.modules[name] = package
    probability = types.ModuleType("tensorflow_probability")
    vars(probability)["stats"] = types.SimpleNamespace(covariance=covariance)
    before = sys.modules.get("tensorflow_probability")
    sys.modules["tensorflow_probability"] = probability
    try:
        return importlib.import_module("tensorflow_gan.python.eval.classifier_metrics")
    finally:
        del sys.modules["tensorflow_probability"]
        if before:
            sys.modules["tensorflow_probability"] = before


def covariance(x: tf.Tensor) -> tf.Tensor:
    """`tfp.stats.covariance(x)`: the population covariance, over the first axis."""
    x = x - tf.reduce_mean(x, 0, keepdims=True)
    return tf.matmul(x, x, transpose_a=True) / tf.cast(tf.shape(x)[0], x.dtype)


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    # TF-GAN treats eigenvalues below 1e-10 as zero, whatever the scale of the features, so that its
    # square roots miss up to 1e-5. In this unit that is 1e-14 of a mean variance, above rounding.
    deviation = np.sqrt(np.mean([np.var(part, axis=0, dtype=np.float64) for part in (real, fake)]))
    unit = deviation / 100 or 1
    parts = [np.asarray(part, np.float64) / unit for part in (real, fake)]
    return unit**2 * call_tfgan("frechet_classifier_distance_from_activations", *parts)


def inception_score(logits: np.ndarray, splits: int) -> float:
    name, parts = "classifier_score_from_logits", split_logits(logits, splits)
    return float(np.mean([call_tfgan(name, part) for part in parts]))


def kernel_distance(real: np.ndarray, fake: np.ndarray, convention: str) -> float:
    """On the same subsets; for blocks, on the same order, which TF-GAN divides itself."""
    name = "kernel_classifier_distance_from_activations"
    if convention == "blocks":
        return call_tfgan(name, kernel.shuffled(real), kernel.shuffled(fake), kernel.BLOCK)
    pairs = kernel.paired_parts(real, fake, convention)
    return float(np.mean([call_tfgan(name, x, y) for x, y in pairs]))


def call_tfgan(name: str, *arguments: Any) -> float:
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # It warns about arguments that TF-GAN passes to TensorFlow.
    try:
        # In float64, and on the CPU, where float64 is not slow.
        with tf.device("CPU:0"):
            tensors = [
                tf.constant(part, tf.float64) if isinstance(part, np.ndarray) else part
                for part in arguments
            ]
            return float(getattr(load_library(), name)(*tensors))
    finally:
        logger.setLevel(level)


def cross_check(
    ours: float, function: Callable, *arguments: Any, exact: bool = True, floor: float = 0.0
) -> dict[str, float | None]:
    """Compares a value with TF-GAN's.

    Args:
        ours: our value.
        function: one of this module.
        *arguments: of `function`.
        exact: whether TF-GAN's value can be trusted. With fewer vectors than dimensions its
            Frechet distance cannot.
        floor: differences are relative to `ours` or to this value, whichever is larger.

    Returns:
        `tfgan` and `relative_difference`. Both are None where TF-GAN is not installed or has no
        value: its inception score is NaN when a class has probability zero.

    Raises:
        RunError: if both are exact and differ by more than 1e-6.
    """
    theirs = function(*arguments) if load_library() else float("nan")
    if not np.isfinite(theirs):
        return {"tfgan": None, "relative_difference": None}
    difference = abs(ours - theirs) / max(abs(ours), floor, np.finfo(float).tiny)
    if exact and difference > TOLERANCE:
        raise RunError(
            f"expected TF-GAN's {function.__name__} within {TOLERANCE} of ours, {ours}. "
            f"Received: {theirs}"
        )
    return {"tfgan": theirs, "relative_difference": difference}
