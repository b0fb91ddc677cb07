"""Whether a generator suffers from mode collapse: it makes the same image again and again."""

import numpy as np

from keras_sagan.data.prepared import Prepared
from keras_sagan.metrics.diversity import LEAST, diversity

# Real images of a class that stand for all of them: some 500 pairs.
REALS = 32


class CollapseWatch:
    """Compares samples with real images of the same classes.

    Args:
        prepared: the real images.
        labels: int `[n]`, the classes of the samples.
        num_classes: of the run; 0: unconditional.
        collapsed: whether samples were too much alike when they were last compared.
    """

    def __init__(self, prepared: Prepared, labels: np.ndarray, num_classes: int, collapsed=False):
        real_labels = np.asarray(prepared.labels)
        if not num_classes:
            labels, real_labels = np.zeros_like(labels), np.zeros_like(real_labels)
        self.labels, self.collapsed = labels, collapsed
        chosen = [np.flatnonzero(real_labels == label)[:REALS] for label in np.unique(labels)]
        indices = np.concatenate(chosen)
        self.real = diversity(prepared.images[indices], real_labels[indices])

    def relative_diversity(self, images: np.ndarray) -> float:
        """Within-class distance of samples relative to real images; 1 if these do not differ."""
        return diversity(images, self.labels) / self.real if self.real else 1.0

    def collapses(self, relative: float) -> bool:
        """Whether samples are too much alike now, and were not at the last comparison."""
        before, self.collapsed = self.collapsed, relative < LEAST
        return self.collapsed and not before
