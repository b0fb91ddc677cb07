"""How confident a classifier is of each image, and how varied its predictions are."""

import numpy as np

from keras_sagan.metrics.features import check_matrix, shuffled


def inception_score(logits: np.ndarray, splits: int = 1) -> tuple[float, float]:
    """Exponential of the mean divergence of p(y|x) from p(y): 1 to the number of classes.

    Source: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 4. Several splits are
    made of shuffled images, because files sorted by class would have few classes in each split.

    Args:
        logits: `[n, classes]`. Computed in float64.
        splits: p(y) is the mean over a split; the released SAGAN evaluation uses one.

    Returns:
        Mean over the splits, and their population standard deviation.

    Raises:
        UsageError: if the logits are not a finite matrix or have fewer rows than splits.
    """
    check_matrix("logits", logits, at_least=splits)
    scores = [np.exp(mutual_information(part)) for part in split_logits(logits, splits)]
    return float(np.mean(scores)), float(np.std(scores))


def split_logits(logits: np.ndarray, splits: int) -> list[np.ndarray]:
    """`splits` parts of the shuffled logits; for one split, the logits as they are."""
    return [logits] if splits == 1 else np.array_split(shuffled(logits), splits)


def mutual_information(logits: np.ndarray) -> float:
    """Between image and class, in nats, with 0 log 0 = 0 for classes that no image has."""
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    q = p.mean(axis=0)
    log_q = np.log(q, out=np.zeros_like(q), where=q > 0)
    return np.sum(p * (log_p - log_q)) / len(p)


def label_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """The share of images that the classifier assigns to the requested class."""
    return float(np.mean(np.argmax(logits, axis=1) == labels))
