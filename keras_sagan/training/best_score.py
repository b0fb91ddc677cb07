"""The score that chooses the best checkpoint of a run."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_sagan.data.prepared import Prepared
from keras_sagan.extractors.tasks import TASKS, count_classes
from keras_sagan.extractors.trained import train_extractor
from keras_sagan.metrics.frechet import frechet_distance, statistics_distance, thumbnails
from keras_sagan.metrics.moments import Moments
from keras_sagan.metrics.protocol import NATIVE, metric_name
from keras_sagan.values import ExtractorChoice

# Number of images for the thumbnail score, and of fakes for the feature score.
THUMBNAILS, FAKES = 512, 1000


@dataclasses.dataclass(frozen=True)
class BestScore:
    """A score, lower is better, cheap enough to compute for every checkpoint."""

    name: str  # Under which it is recorded.
    count: int  # Number of fakes that it takes.
    score: Callable[[np.ndarray], float]  # Function of fakes, uint8 `[count, H, W, C]`.


def make_best_score(prepared: Prepared, eval_every: int, data_dir: str) -> BestScore:
    """Scores thumbnails or, if `eval_every` is not 0, features that a network learned of the data.

    Raises:
        RunError: if an existing network cannot be read.
    """
    if eval_every:
        return feature_score(prepared, data_dir)
    real = thumbnails(prepared.images[:THUMBNAILS])
    name = f"thumbnail_fd{THUMBNAILS}"
    return BestScore(name, THUMBNAILS, lambda fakes: frechet_distance(real, thumbnails(fakes)))


def feature_score(prepared: Prepared, data_dir: str) -> BestScore:
    """Frechet distance with the network that `evaluate` uses by default; trains it on first use."""
    known = prepared.images, prepared.labels, prepared.record["sha256"], data_dir
    task = TASKS[ExtractorChoice("auto").resolve(count_classes(prepared.labels)).kind]
    extractor = train_extractor(task, *known, tf.distribute.get_strategy())

    def statistics(levels):
        return Moments.of(extractor.features(levels)).statistics()

    real = statistics(prepared.images[: NATIVE.reals])
    name = metric_name("fd", FAKES, extractor.name)
    return BestScore(name, FAKES, lambda fakes: statistics_distance(real, statistics(fakes)))
