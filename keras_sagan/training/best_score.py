"""The score that chooses the best checkpoint of a run."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_sagan.data.prepared import Prepared
from keras_sagan.errors import UsageError
from keras_sagan.extractors.classifier import classifier
from keras_sagan.metrics.frechet import frechet_distance, statistics_distance, thumbnails
from keras_sagan.metrics.moments import Moments
from keras_sagan.metrics.protocol import NATIVE, metric_name

# Images of the score by thumbnails, and fakes of the score by a classifier.
THUMBNAILS, FAKES = 512, 1000


@dataclasses.dataclass(frozen=True)
class BestScore:
    """A score of which less is better, cheap enough for every checkpoint."""

    name: str  # Under which it is recorded.
    count: int  # Fakes that it looks at.
    score: Callable[[np.ndarray], float]  # Function of fakes, uint8 `[count, H, W, C]`.


def make_best_score(prepared: Prepared, eval_every: int, data_dir: str) -> BestScore:
    """By thumbnails, or, if `eval_every` is not 0, by a classifier of the data.

    Raises:
        UsageError: if a classifier is asked for and the data have no classes.
    """
    if eval_every:
        if prepared.num_classes < 2:
            raise UsageError(
                "eval_every needs data of at least two classes; 0 leaves the choice to thumbnails. "
                f"Received: eval_every={eval_every}"
            )
        return classifier_score(prepared, data_dir)
    real = thumbnails(prepared.images[:THUMBNAILS])
    name = f"thumbnail_fd{THUMBNAILS}"
    return BestScore(name, THUMBNAILS, lambda fakes: frechet_distance(real, thumbnails(fakes)))


def classifier_score(prepared: Prepared, data_dir: str) -> BestScore:
    """Frechet distance by the classifier that `evaluate` uses; trains it on first use."""
    known = prepared.images, prepared.labels, prepared.record["sha256"], data_dir
    extractor = classifier(*known, tf.distribute.get_strategy())

    def statistics(levels):
        return Moments.of(extractor.features(levels)).statistics()

    real = statistics(prepared.images[: NATIVE.reals])
    name = metric_name("fd", FAKES, extractor.name)
    return BestScore(name, FAKES, lambda fakes: statistics_distance(real, statistics(fakes)))
