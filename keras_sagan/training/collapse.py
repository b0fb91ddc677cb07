"""Whether a generator makes the same image again and again."""

import numpy as np

from keras_sagan.metrics.diversity import LEAST, diversity

# Real images of a class that stand for all of them: some 500 pairs.
REALS = 32


class CollapseWatch:
    """Compares samples with real images of the same classes.

    Args:
        config: `Config`.
        prepared: `Prepared`.
        labels: int `[n]`, the classes of the samples.
        collapsed: bool, whether they were too much alike when they were last looked at.
    """

    def __init__(self, config, prepared, labels, collapsed=False):
        real_labels = np.asarray(prepared.labels)
        if not config.num_classes:
            labels, real_labels = np.zeros_like(labels), np.zeros_like(real_labels)
        self.labels, self.collapsed = labels, collapsed
        chosen = [np.flatnonzero(real_labels == label)[:REALS] for label in np.unique(labels)]
        chosen = np.concatenate(chosen)
        self.real = diversity(prepared.images[chosen], real_labels[chosen])

    def relative(self, images):
        """The samples' `diversity` in parts of the real one; 1 if real images do not differ."""
        return diversity(images, self.labels) / self.real if self.real else 1.0

    def falls(self, relative):
        """Whether samples are too much alike now, and were not when this was asked before."""
        before, self.collapsed = self.collapsed, relative < LEAST
        return self.collapsed and not before
