"""Scores of generated images, computed with NumPy only."""

from keras_sagan.metrics.coherence import coherence
from keras_sagan.metrics.diversity import diversity
from keras_sagan.metrics.frechet import frechet_distance
from keras_sagan.metrics.inception_score import inception_score
from keras_sagan.metrics.kernel import kernel_distance
from keras_sagan.metrics.precision_recall import precision_recall

__all__ = [
    "coherence",
    "diversity",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "precision_recall",
]
