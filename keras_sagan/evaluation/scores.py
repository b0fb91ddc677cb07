"""All metrics of one pair of feature sets."""

import dataclasses

import numpy as np

from keras_sagan.errors import UsageError
from keras_sagan.evaluation import tfgan
from keras_sagan.metrics.coherence import coherence
from keras_sagan.metrics.features import check_pair, shuffled
from keras_sagan.metrics.frechet import class_distances, frechet_distance, statistics_distance
from keras_sagan.metrics.inception_score import inception_score, label_accuracy
from keras_sagan.metrics.kernel import kernel_distance
from keras_sagan.metrics.moments import Moments, Statistics
from keras_sagan.metrics.precision_recall import K, precision_recall

# Names of the same arithmetic on features of the 2015 Inception network, and of any other one.
INCEPTION = {"frechet": "fid", "score": "is", "kernel": "kid", "intra": "intra_fid"}
CLASSIFIER = {"frechet": "fcd", "score": "cs", "kernel": "kcd", "intra": "intra_fcd"}
# Images of either kind in precision and recall, which take a product of the two sets.
NEIGHBORS = 10_000
# Images of either kind that TF-GAN and the kernel distance look at: they hold them in float64.
MOST = 50_000


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """What is known of a set of images.

    Attributes:
        features: `[n, d]`, or None where only statistics are known.
        logits: `[n, classes]` or None.
        labels: int `[n]` or None.
        statistics: `Statistics`, or None to compute them when needed.
        images: `[n, size, size, channels]` of the set `symmetry`, else None.
    """

    features: np.ndarray | None
    logits: np.ndarray | None = None
    labels: np.ndarray | None = None
    statistics: Statistics | None = None
    images: np.ndarray | None = None


def all_scores(real, fake, protocol, names, accuracy):
    """Every metric that the two sets allow.

    Args:
        real: `FeatureSet`.
        fake: `FeatureSet` with features.
        protocol: `Protocol`.
        names: `INCEPTION` or `CLASSIFIER`.
        accuracy: bool, whether the logits are of the classes of the labels.

    Returns:
        dict: name to dict of `value`, `n_real`, `n_fake` and what else belongs to it.

    Raises:
        UsageError: if the sets cannot be compared.
        RunError: if TF-GAN has another value.
    """
    scores = {}
    if accuracy:
        scores["label_accuracy"] = {"value": label_accuracy(fake.logits, fake.labels)}
    scores[names["frechet"]] = frechet(real, fake)
    if fake.logits is not None:
        scores[names["score"]] = if_enough(sureness, fake.logits, protocol.splits)
    if real.features is not None:
        scores |= pairwise(real, fake, protocol, names)
    if fake.images is not None:
        scores["coherence"] = {"value": coherence(fake.images, fake.labels), "n_real": 0}
    for score in scores.values():
        score.setdefault("n_real", count(real))
        score.setdefault("n_fake", len(fake.features))
    return scores


def if_enough(score, *arguments):
    """A score, or a record of why there are too few images for it: the others are still good."""
    try:
        return score(*arguments)
    except UsageError as error:
        return {"value": None, "unavailable": str(error)}


def sureness(logits, splits):
    value, deviation = inception_score(logits, splits)
    second = tfgan.opinion(value, tfgan.inception_score, logits, splits)
    return {"value": value, "standard_deviation": deviation, **second}


def count(real):
    return real.statistics.count if real.features is None else len(real.features)


def frechet(real, fake):
    """The Frechet distance, by statistics where features are not known or would fill the memory."""
    if real.features is None or len(real.features) > MOST:
        known = real.statistics or Moments.of(real.features).statistics()
        value = statistics_distance(known, Moments.of(fake.features).statistics())
        return {"value": value, "tfgan": None, "relative_difference": None}
    value = frechet_distance(real.features, fake.features)
    exact = min(len(real.features), len(fake.features)) > fake.features.shape[1]
    # The distance is what variances leave of each other, and TF-GAN rounds the variances: by 3e-8
    # of their sum where some directions are unused, which was 5e-6 of a distance of digits.
    sets = real.features, fake.features
    floor = sum(np.var(part, axis=0, dtype=np.float64).sum() for part in sets)
    second = tfgan.opinion(value, tfgan.frechet_distance, *sets, exact=exact, floor=floor)
    return {"value": value, **second}


def pairwise(real, fake, protocol, names):
    """The metrics that need the real features themselves."""
    sets = real.features, fake.features
    check_pair(*sets, at_least=K + 1)
    scores = {names["kernel"]: if_enough(kernel, *sets, protocol.kernel)}
    number = min(NEIGHBORS, *map(len, sets))
    values = precision_recall(*(shuffled(part, number) for part in sets))
    for name, value in zip(("precision", "recall"), values, strict=True):
        scores[name] = {"value": value, "n_real": number, "n_fake": number}
    if real.labels is not None and fake.labels is not None:
        scores[names["intra"]] = intra(real, fake)
    return scores


def kernel(real, fake, convention):
    """The kernel distance, in blocks of at most `MOST` images of either kind."""
    sets = [part if len(part) <= MOST else shuffled(part, MOST) for part in (real, fake)]
    value, error = kernel_distance(*sets, convention)
    # Values of the kernel cancel: what is a millionth of them is compared with that millionth.
    floor = 1e-6 * max(mean_kernel(part) for part in sets)
    second = tfgan.opinion(value, tfgan.kernel_distance, *sets, convention, floor=floor)
    counts = {"n_real": len(sets[0]), "n_fake": len(sets[1])}
    return {"value": value, "standard_error": error, **second, **counts}


def mean_kernel(features):
    """The kernel of a vector with itself, on average."""
    squares = np.einsum("nd,nd->n", features, features, dtype=np.float64)
    return np.mean((squares / features.shape[1] + 1) ** 3)


def intra(real, fake):
    """The mean of the distances within classes; classes without images are left out, and said."""
    distances = class_distances(real.features, real.labels, fake.features, fake.labels)
    known = [value for value in distances.values() if value is not None]
    if not known:
        reason = "distances within classes need a class with two real images and two fakes"
        return {"value": None, "unavailable": reason}
    return {"value": float(np.mean(known)), "classes": distances}
