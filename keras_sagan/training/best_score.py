"""What chooses the best checkpoint of a run: a cheap score, meant to compare its checkpoints."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from keras_sagan.errors import UsageError
from keras_sagan.extractors.classifier import classifier
from keras_sagan.metrics.frechet import frechet_distance, statistics_distance, thumbnails
from keras_sagan.metrics.moments import Moments
from keras_sagan.metrics.protocol import NATIVE, metric_name

# Images of the score by thumbnails, and fakes of that by a classifier.
THUMBNAILS, FAKES = 512, 1000


@dataclasses.dataclass(frozen=True)
class Judge:
    """A score of which less is better.

    Attributes:
        name: str.
        count: int, fakes that it looks at.
        score: function of fakes, uint8 `[count, H, W, C]`, to a float.
    """

    name: str
    count: int
    score: Callable


def make_judge(config, prepared):
    """By thumbnails, or, with `config.eval_every`, by a classifier of the data."""
    if config.eval_every:
        if prepared.num_classes < 2:
            raise UsageError(
                "eval_every needs data of at least two classes; 0 leaves the choice to thumbnails. "
                f"Received: eval_every={config.eval_every}"
            )
        return classifier_judge(config, prepared)
    real = thumbnails(prepared.images[:THUMBNAILS])
    return Judge(
        f"thumbnail_fd{THUMBNAILS}",
        THUMBNAILS,
        lambda fakes: frechet_distance(real, thumbnails(fakes)),
    )


def classifier_judge(config, prepared):
    """Frechet distance by the classifier that `evaluate` uses; trains it on first use."""
    images, sha256 = prepared.images, prepared.record["sha256"]
    strategy = tf.distribute.get_strategy()
    extractor = classifier(images, prepared.labels, sha256, config.data_dir, strategy)

    def statistics(levels):
        return Moments.of(extractor.features(levels)).statistics()

    real = statistics(images[: NATIVE.reals])
    return Judge(
        metric_name("fd", FAKES, extractor.name),
        FAKES,
        lambda fakes: statistics_distance(real, statistics(fakes)),
    )
