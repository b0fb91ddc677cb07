"""How sure a classifier is of each image, and how varied it finds them all."""

import numpy as np

from keras_sagan.metrics.features import check_matrix, shuffled


def inception_score(logits, splits=1):
    """Exponential of the mean divergence of p(y|x) from p(y): 1 to the number of classes.

    Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 4. With several splits the
    images are shuffled first: each split of images in the order of their classes would have few.

    Args:
        logits: `[n, classes]`. Computed in float64.
        splits: int. p(y) is the mean over a split; the released SAGAN evaluation has one.

    Returns:
        Mean over the splits, and their standard deviation (of the population).

    Raises:
        UsageError: if the logits are no finite matrix or there are fewer rows than splits.
    """
    check_matrix("logits", logits, at_least=splits)
    scores = [np.exp(mutual_information(part)) for part in split(logits, splits)]
    return float(np.mean(scores)), float(np.std(scores))


def split(logits, splits):
    """`splits` parts of shuffled logits, or all of them as they are."""
    return [logits] if splits == 1 else np.array_split(shuffled(logits), splits)


def mutual_information(logits):
    """Between image and class, in nats, with 0 log 0 = 0 also for classes no image has."""
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    q = p.mean(axis=0)
    log_q = np.log(q, out=np.zeros_like(q), where=q > 0)
    return np.sum(p * (log_p - log_q)) / len(p)


def label_accuracy(logits, labels):
    """The share of images in which the classifier sees the class that was asked for."""
    return float(np.mean(np.argmax(logits, axis=1) == labels))
