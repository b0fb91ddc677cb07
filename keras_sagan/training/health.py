"""The vital signs of a game: whether its numbers are finite, and what tells a collapse early."""

import math

import tensorflow as tf

from keras_sagan.errors import NotFinite

# In the order in which a step computes them. The first letter is the network's.
LOSSES = ("d_loss", "g_loss")
SIGNS = ("d_logits_std_real", "d_logits_std_fake", "d_gradient_norm", "g_gradient_norm")
NETWORKS = {"d": "discriminator", "g": "generator"}
# A step that no run comes to.
NEVER = tf.int64.max


def moments(logits):
    """First and second moment of a replica's logits, float64 `[2]`: their means may be large."""
    logits = tf.cast(logits, tf.float64)
    return tf.stack([tf.reduce_mean(logits), tf.reduce_mean(logits**2)])


def signs(strategy, evidence):
    """What one step says of the health of the game, over the global batch.

    A generator learns from how logits differ among fakes, by gradients: where spread or norm vanish
    it stands still, and where they grow without end the run is about to diverge.

    Args:
        strategy: `tf.distribute.Strategy`, outside of its replicas.
        evidence: dict of per-replica values, as `Game.play` returns.

    Returns:
        float32 `[4]`, as `SIGNS`: standard deviation of the logits of real images and of fakes; L2
        norm over all weights of the discriminator's and the generator's gradient.
    """

    results = []
    for moments_of in evidence["logits"]:
        first, second = tf.unstack(strategy.reduce("MEAN", moments_of, axis=None))
        results.append(tf.cast(tf.sqrt(tf.maximum(second - first**2, 0)), tf.float32))
    for name in ("d", "g"):
        # Added up first: norms of the replicas' own parts would depend on how many there are.
        gradients = [strategy.reduce("SUM", part, axis=None) for part in evidence[name]]
        results.append(tf.linalg.global_norm(gradients))
    return tf.stack(results)


def check(numbers, bad, step):
    """Whether all numbers of a call of the runtime are finite.

    Args:
        numbers: dict of floats: `LOSSES`, means over the call, and `SIGNS`, of its last step.
        bad: for each of `LOSSES` the first step at which it was not finite, or `NEVER`.
        step: int, the last step of the call.

    Raises:
        NotFinite: if not, with the first of them.
    """
    first = dict.fromkeys(numbers, step) | dict(zip(LOSSES, bad, strict=True))
    wrong = [name for name, value in numbers.items() if not math.isfinite(value)]
    if wrong:
        name = min(wrong, key=first.__getitem__)
        at = min(int(first[name]), step)
        raise NotFinite(
            f"expected finite losses and gradients; checkpoints are from before. Received: "
            f"{name}={numbers[name]} of the {NETWORKS[name[0]]}, first at step {at}",
            at,
            name,
        )
