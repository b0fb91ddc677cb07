"""The health of a game: whether its numbers are finite, and statistics that warn early."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from keras_sagan.errors import NotFinite

# In the order in which a step computes them. The first letter is the network's.
LOSSES = ("d_loss", "g_loss")
STATISTICS = (
    "d_logits_mean_real",
    "d_logits_mean_fake",
    "d_logits_std_real",
    "d_logits_std_fake",
    "d_logits_sign_real",
    "d_gradient_norm",
    "g_gradient_norm",
)
NETWORKS = {"d": "discriminator", "g": "generator"}
# A step that no run reaches.
NEVER = tf.int64.max


def step_statistics(strategy: tf.distribute.Strategy, diagnostics: dict[str, Any]) -> tf.Tensor:
    """Statistics of the game after one step, over the global batch.

    Through gradients, a generator learns from how logits differ among fakes. If their spread or the
    gradient norm vanishes, it stops learning. If they keep growing, the run is about to diverge.
    The mean sign of the logits of real images is ADA's measure of overfitting, r_t (Karras et al.
    2020, https://arxiv.org/abs/2006.06676, section 3): near 1, D is sure of every one.

    Args:
        strategy: called outside of its replicas.
        diagnostics: per-replica values, as `Game.play` returns them.

    Returns:
        float32 `[7]`, as `STATISTICS`: mean of the logits of real images and of fakes, and their
        standard deviation; mean sign of real images' logits; L2 norm over all weights of the
        discriminator's and the generator's gradient.
    """
    moments = [strategy.reduce("MEAN", each, axis=None) for each in diagnostics["logits"]]
    means, squares, signs = tf.unstack(tf.stack(moments), axis=1)
    deviations = tf.sqrt(tf.maximum(squares - means**2, 0))
    of_logits = tf.cast(tf.concat([means, deviations, signs[:1]], axis=0), tf.float32)
    norms = []
    for name in ("d", "g"):
        # Sum first: the norm of each replica's share would depend on the number of replicas.
        gradients = [strategy.reduce("SUM", part, axis=None) for part in diagnostics[name]]
        norms.append(tf.linalg.global_norm(gradients))
    return tf.concat([of_logits, norms], axis=0)


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
