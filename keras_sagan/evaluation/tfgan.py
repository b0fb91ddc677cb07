"""TF-GAN's metrics on the same features: an independent second opinion.

`import tensorflow_gan` fails on TensorFlow 2.16 and later, since its training code needs
`tf.estimator`. Its metrics need TensorFlow and one function of TensorFlow Probability. So the
packages around them are entered without their `__init__.py`, and that function is given here.
"""

import functools
import importlib
import importlib.util
import os
import sys
import types

import numpy as np
import tensorflow as tf

from keras_sagan.errors import RunError
from keras_sagan.metrics import kernel
from keras_sagan.metrics.inception_score import split

# Above it, the two computations are of different things.
TOLERANCE = 1e-6


@functools.cache
def library():
    """TF-GAN's `classifier_metrics`; None where TF-GAN is not installed. Once in a process."""
    spec = importlib.util.find_spec("tensorflow_gan")
    if spec is None:
        return None
    (root,) = spec.submodule_search_locations
    for name in ("tensorflow_gan", "tensorflow_gan.python", "tensorflow_gan.python.eval"):
        package = types.ModuleType(name)
        package.__package__ = name
        package.__path__ = [os.path.join(root, *name.split(".")[1:])]
        sys.modules[name] = package
    probability = types.ModuleType("tensorflow_probability")
    probability.stats = types.SimpleNamespace(covariance=covariance)
    before = sys.modules.get("tensorflow_probability")
    sys.modules["tensorflow_probability"] = probability
    try:
        return importlib.import_module("tensorflow_gan.python.eval.classifier_metrics")
    finally:
        del sys.modules["tensorflow_probability"]
        if before:
            sys.modules["tensorflow_probability"] = before


def covariance(x):
    """`tfp.stats.covariance(x)`: that of the population, over the first axis."""
    x = x - tf.reduce_mean(x, 0, keepdims=True)
    return tf.matmul(x, x, transpose_a=True) / tf.cast(tf.shape(x)[0], x.dtype)


def frechet_distance(real, fake):
    # TF-GAN takes eigenvalues below 1e-10 for zero, whatever the unit of the features. Its root
    # then misses up to 1e-5, so the unit makes that 1e-14 of a mean variance, above rounding.
    deviation = np.sqrt(np.mean([np.var(part, axis=0, dtype=np.float64) for part in (real, fake)]))
    unit = deviation / 100 or 1
    parts = [np.asarray(part, np.float64) / unit for part in (real, fake)]
    return unit**2 * call("frechet_classifier_distance_from_activations", *parts)


def inception_score(logits, splits):
    scores = [call("classifier_score_from_logits", part) for part in split(logits, splits)]
    return float(np.mean(scores))


def kernel_distance(real, fake, convention):
    """On the same subsets, or, in blocks, on the same order: the division is TF-GAN's own."""
    name = "kernel_classifier_distance_from_activations"
    if convention == "blocks":
        return call(name, kernel.shuffled(real), kernel.shuffled(fake), kernel.BLOCK)
    return float(np.mean([call(name, x, y) for x, y in kernel.parts(real, fake, convention)]))


def call(name, *arguments):
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # It warns of arguments that TF-GAN passes to TensorFlow.
    try:
        # In float64, and on the CPU, where that is not slow.
        with tf.device("CPU:0"):
            tensors = [
                tf.constant(part, tf.float64) if isinstance(part, np.ndarray) else part
                for part in arguments
            ]
            return float(getattr(library(), name)(*tensors))
    finally:
        logger.setLevel(level)


def opinion(ours, function, *arguments, exact=True, floor=0.0):
    """What the record of a metric says of TF-GAN's value.

    Args:
        ours: float.
        function: one of this module.
        *arguments: of `function`.
        exact: bool, whether TF-GAN's value is to be trusted; with fewer vectors than dimensions
            its distance is not.
        floor: float, differences are relative to `ours` or, if larger, to this.

    Returns:
        dict of `tfgan` and `relative_difference`, both None where TF-GAN is not installed or has
        no value: its inception score is NaN when a class has probability zero.

    Raises:
        RunError: if the values differ by more than 1e-6 though they are exact.
    """
    theirs = function(*arguments) if library() else float("nan")
    if not np.isfinite(theirs):
        return {"tfgan": None, "relative_difference": None}
    difference = abs(ours - theirs) / max(abs(ours), floor, np.finfo(float).tiny)
    if exact and difference > TOLERANCE:
        raise RunError(
            f"expected TF-GAN's {function.__name__} within {TOLERANCE} of ours, {ours}. "
            f"Received: {theirs}"
        )
    return {"tfgan": theirs, "relative_difference": difference}
