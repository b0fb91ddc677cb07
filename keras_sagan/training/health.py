"""The health of a game: whether its numbers are finite, and statistics that warn early."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from keras_sagan.errors import NotFinite

# In the order in which a step computes them. The first letter is the network's.
LOSSES = ("d_loss", "g_loss")
STATISTICS = ("d_logits_std_real", "d_logits_std_fake", "d_gradient_norm", "g_gradient_norm")
NETWORKS = {"d": "discriminator", "g": "generator"}
# A step that no run reaches.
NEVER = tf.int64.max


def logit_moments(logits: tf.Tensor) -> tf.Tensor:
    """First and second moment of a replica's logits; float64 `[2]`, as means may be large."""
    logits = tf.cast(logits, tf.float64)
    return tf.stack([tf.reduce_mean(logits), tf.reduce_mean(logits**2)])


def step_statistics(strategy: tf.distribute.Strategy, diagnostics: dict[str, Any]) -> tf.Tensor:
    """Statistics of the game after one step, over the global batch.

    Through gradients, a generator learns from how logits differ among fakes. If their spread or the
    gradient norm vanishes, it stops learning. If they keep growing, the run is about to diverge.

    Args:
        strategy: called outside of its replicas.
        diagnostics: per-replica values, as `Game.play` returns them.

    Returns:
        float32 `[4]`, as `STATISTICS`: standard deviation of the logits of real images and of
        fakes; L2 norm over all weights of the discriminator's and the generator's gradient.
    """
    results = []
    for moments in diagnostics["logits"]:
        first, second = tf.unstack(strategy.reduce("MEAN", moments, axis=None))
        results.append(tf.cast(tf.sqrt(tf.maximum(second - first**2, 0)), tf.float32))
    for name in ("d", "g"):
        # Sum first: the norm of each replica's share would depend on the number of replicas.
        gradients = [strategy.reduce("SUM", part, axis=None) for part in diagnostics[name]]
        results.append(tf.linalg.global_norm(gradients))
    return tf.stack(results)


def check_finite(numbers: dict[str, float], bad_steps: np.ndarray, step: int) -> None:
    """Checks that all numbers of a call of the runtime are finite.

    Args:
        numbers: `LOSSES`, means over the call, and `STATISTICS` of its last step.
        bad_steps: for each of `LOSSES`, the first step at which it was non-finite, or `NEVER`.
        step: the last step of the call.

    Raises:
        NotFinite: if not; it names the earliest non-finite number.
    """
    first = dict.fromkeys(numbers, step) | dict(zip(LOSSES, bad_steps, strict=True))
    wrong = [name for name, value in numbers.items() if not math.isfinite(value)]
    if wrong:
        name = min(wrong, key=first.__getitem__)
        at = min(int(first[name]), step)
        message = (
            "expected finite losses and gradients; earlier checkpoints are intact. Received: "
            f"{name}={numbers[name]} of the {NETWORKS[name[0]]}, first at step {at}"
        )
        raise NotFinite(message, at, name)
