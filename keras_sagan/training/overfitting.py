"""Whether the discriminator knows its training images better than held-out ones."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_sagan.data.prepared import Examples

# Images of each kind.
COUNT = 128
# Above this share of the way from real images to samples, held-out images count as unknown; and the
# standard errors by which they must differ from training images. Our choices.
MOST, ERRORS = 0.5, 3.0


class Logits(NamedTuple):
    """Logits of three kinds of images, each float `[n]`."""

    training: np.ndarray
    held_out: np.ndarray
    samples: np.ndarray

    @property
    def overfitting(self) -> float:
        """How far held-out images are on the way from training images to samples; 0 is best.

        r_v of Karras et al. 2020, https://arxiv.org/abs/2006.06676, section 3; 0 if samples have
        logits as high as training images.
        """
        training, held_out, samples = (np.mean(each) for each in self)
        return float((training - held_out) / (training - samples)) if training > samples else 0.0

    @property
    def is_overfitted(self) -> bool:
        """Whether the overfitting is large, and not only by chance."""
        gap = np.mean(self.training) - np.mean(self.held_out)
        error = np.sqrt(sum(np.var(each) / len(each) for each in self[:2]))
        return bool(self.overfitting > MOST and gap > ERRORS * error)

    def gauges(self) -> dict[str, float]:
        """What is recorded."""
        means = {f"d_logits_{name}": float(np.mean(each)) for name, each in self._asdict().items()}
        overfitted = {"overfitting": self.overfitting, "overfitted": float(self.is_overfitted)}
        return means | overfitted


def was_overfitted(row: dict[str, Any]) -> bool:
    """Whether a record of the log has `gauges` of an overfitted discriminator."""
    return bool(row.get("overfitted", False))


class OverfittingWatch:
    """Compares the discriminator's logits, in evaluation mode and without augmentation.

    Args:
        discriminator: of the run.
        examples: images and labels that it trains on.
        held_out: those that it does not.
        sample: function that returns as many samples as it is asked for, with their labels.
        has_warned: whether it was overfitted at the last comparison.
    """

    def __init__(
        self,
        discriminator: keras.Model,
        examples: Examples,
        held_out: Examples,
        sample: Callable[[int], tuple[np.ndarray, np.ndarray]],
        has_warned: bool = False,
    ) -> None:
        sets = examples, held_out
        self.known = [Examples(each.images[:COUNT], each.labels[:COUNT]) for each in sets]
        self.sample, self.has_warned = sample, has_warned

        @tf.function
        def judge(images, labels):
            scaled = tf.cast(images, tf.float32) * (2 / 255) - 1
            return discriminator(scaled, labels, training=False)

        self.judge = judge

    def compare(self) -> Logits:
        """The present logits."""
        kinds = [*self.known, self.sample(COUNT)]
        return Logits(*(self.judge(*map(tf.constant, kind)).numpy() for kind in kinds))

    def warning(self, logits: Logits, step: int) -> str | None:
        """A line for the user, once whenever overfitting begins."""
        before, self.has_warned = self.has_warned, logits.is_overfitted
        if before or not logits.is_overfitted:
            return None
        training, held_out, samples = (np.mean(each) for each in logits)
        return (
            f"warning: overfitting at step {step}: the discriminator's mean logit is "
            f"{training:.2f} for training images, {held_out:.2f} for held-out ones and "
            f"{samples:.2f} for samples; --augment=color,translation,cutout, --lecam=0.3 or more "
            "images help"
        )
