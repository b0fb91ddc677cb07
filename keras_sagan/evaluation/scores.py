"""All metrics of one pair of feature sets."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_sagan.errors import UsageError
from keras_sagan.evaluation import tfgan
from keras_sagan.extractors.extractor import Extractor
from keras_sagan.metrics.coherence import coherence
from keras_sagan.metrics.features import check_pair, shuffled
from keras_sagan.metrics.frechet import class_distances, frechet_distance, statistics_distance
from keras_sagan.metrics.inception_score import inception_score, label_accuracy
from keras_sagan.metrics.kernel import kernel_distance
from keras_sagan.metrics.moments import Moments, Statistics
from keras_sagan.metrics.precision_recall import K, precision_recall
from keras_sagan.metrics.protocol import Protocol

# Names of the same computations on features of the 2015 Inception network and of other networks.
INCEPTION = {"frechet": "fid", "score": "is", "kernel": "kid", "intra": "intra_fid"}
CLASSIFIER = {"frechet": "fd", "score": "is", "kernel": "kd", "intra": "intra_fd"}
# Confidence in a rotation says nothing about quality, so there is no score of predictions.
ROTATION = {"frechet": "fd", "kernel": "kd", "intra": "intra_fd"}
# Most images of each set in precision and recall, whose cost is the product of the two numbers.
NEIGHBORS = 10_000
# Most images of each set for TF-GAN and the kernel distance, which hold them in float64.
MOST = 50_000
Score = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """What is known about a set of images."""

    features: np.ndarray | None  # `[n, d]`; None where only statistics are known.
    logits: np.ndarray | None = None  # `[n, classes]` or None.
    labels: np.ndarray | None = None  # int `[n]` or None.
    statistics: Statistics | None = None  # None: computed when needed.
    # `[n, size, size, channels]` of the data set `symmetry`, otherwise None.
    images: np.ndarray | None = None


def all_scores(
    real: FeatureSet, fake: FeatureSet, protocol: Protocol, names: dict[str, str], accuracy: bool
) -> dict[str, Score]:
    """Every metric that the two sets allow.

    Args:
        real: of real images.
        fake: of generated images, with features.
        protocol: how inception scores and kernel distances are computed.
        names: `INCEPTION`, `CLASSIFIER` or `ROTATION`; a score without a name is left out.
        accuracy: whether the logits belong to the classes of the labels.

    Returns:
        By name: `value`, `n_real`, `n_fake`, and what else belongs to a score.

    Raises:
        UsageError: if the sets cannot be compared.
        RunError: if TF-GAN computes a different value.
    """
    if fake.features is None:
        raise UsageError("expected features of generated images. Received: none")
    scores = {}
    if accuracy and fake.logits is not None and fake.labels is not None:
        scores["label_accuracy"] = {"value": label_accuracy(fake.logits, fake.labels)}
    scores[names["frechet"]] = frechet_score(real, fake.features)
    if "score" in names and fake.logits is not None:
        scores[names["score"]] = if_enough(prediction_score, fake.logits, protocol.splits)
    if real.features is not None:
        check_pair(real.features, fake.features, at_least=K + 1)
        kernel = if_enough(kernel_score, real.features, fake.features, protocol.kernel)
        scores[names["kernel"]] = kernel
        scores |= neighbor_scores(real.features, fake.features)
        if real.labels is not None and fake.labels is not None:
            sets = real.features, real.labels, fake.features, fake.labels
            scores[names["intra"]] = intra_class_score(class_distances(*sets))
    if fake.images is not None and fake.labels is not None:
        scores["coherence"] = {"value": coherence(fake.images, fake.labels), "n_real": 0}
    for score in scores.values():
        score.setdefault("n_real", real_count(real))
        score.setdefault("n_fake", len(fake.features))
    return scores


def metric_names(extractor: Extractor) -> dict[str, str]:
    """The names of an extractor's metrics, for `all_scores`."""
    if extractor.inception:
        return INCEPTION
    return ROTATION if extractor.predicts == "rotations" else CLASSIFIER


def if_enough(score: Callable[..., Score], *arguments: Any) -> Score:
    """A score, or why there are too few images for it: the other scores remain valid."""
    try:
        return score(*arguments)
    except UsageError as error:
        return {"value": None, "unavailable": str(error)}


def prediction_score(logits: np.ndarray, splits: int) -> Score:
    """The inception score of a classifier's predictions."""
    value, deviation = inception_score(logits, splits)
    check = tfgan.cross_check(value, tfgan.inception_score, logits, splits)
    return {"value": value, "standard_deviation": deviation, **check}


def real_count(real: FeatureSet) -> int | None:
    if real.features is not None:
        return len(real.features)
    return real.statistics.count if real.statistics else None


def frechet_score(real: FeatureSet, fake: np.ndarray) -> Score:
    """The Frechet distance; from statistics where features are unknown or too many for memory."""
    if real.features is None or len(real.features) > MOST:
        known: Any = real.statistics or Moments.of(np.asarray(real.features)).statistics()
        value = statistics_distance(known, Moments.of(fake).statistics())
        return {"value": value, "tfgan": None, "relative_difference": None}
    value = frechet_distance(real.features, fake)
    exact = min(len(real.features), len(fake)) > fake.shape[1]
    # The distance is a small difference of variances, which TF-GAN rounds: by 3e-8 of their sum
    # where some directions are unused. For digits that was 5e-6 of the distance.
    sets = real.features, fake
    floor = sum(np.var(part, axis=0, dtype=np.float64).sum() for part in sets)
    check = tfgan.cross_check(value, tfgan.frechet_distance, *sets, exact=exact, floor=floor)
    return {"value": value, **check}


def neighbor_scores(real: np.ndarray, fake: np.ndarray) -> dict[str, Score]:
    """Precision and recall, of at most `NEIGHBORS` images of each set."""
    number = min(NEIGHBORS, len(real), len(fake))
    values = precision_recall(shuffled(real, number), shuffled(fake, number))
    counts = {"n_real": number, "n_fake": number}
    names = ("precision", "recall")
    return {name: {"value": each, **counts} for name, each in zip(names, values, strict=True)}


def kernel_score(real: np.ndarray, fake: np.ndarray, convention: str) -> Score:
    """The kernel distance, of at most `MOST` images of each set."""
    sets = [part if len(part) <= MOST else shuffled(part, MOST) for part in (real, fake)]
    value, error = kernel_distance(sets[0], sets[1], convention)
    # Kernel values cancel. Differences are therefore relative to at least a millionth of them.
    floor = 1e-6 * max(mean_kernel(part) for part in sets)
    check = tfgan.cross_check(value, tfgan.kernel_distance, *sets, convention, floor=floor)
    counts = {"n_real": len(sets[0]), "n_fake": len(sets[1])}
    return {"value": value, "standard_error": error, **check, **counts}


def mean_kernel(features: np.ndarray) -> float:
    """The kernel of a vector with itself, on average."""
    squares = np.einsum("nd,nd->n", features, features, dtype=np.float64)
    return np.mean((squares / features.shape[1] + 1) ** 3)


def intra_class_score(distances: dict[int, float | None]) -> Score:
    """The mean of `class_distances`; classes with too few images are left out."""
    known = [value for value in distances.values() if value is not None]
    if not known:
        reason = "distances within classes need a class with two real images and two fakes"
        return {"value": None, "unavailable": reason}
    return {"value": float(np.mean(known)), "classes": distances}
