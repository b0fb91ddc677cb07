"""Keras layers of the two networks. Only TensorFlow and Keras are imported here."""

from keras_sagan.keras_settings import check_backend

check_backend()  # Before Keras is imported, and fails to import a backend that is not installed.

from keras_sagan.layers.attention import ResidualControl, SelfAttention  # noqa: E402
from keras_sagan.layers.augment import Augment  # noqa: E402
from keras_sagan.layers.conditional import ConditionalBatchNormalization  # noqa: E402
from keras_sagan.layers.spectral import (  # noqa: E402
    SpectralConv2D,
    SpectralDense,
    SpectralEmbedding,
)
from keras_sagan.layers.spectral_normalization import SpectralNormalization  # noqa: E402

__all__ = [
    "Augment",
    "ConditionalBatchNormalization",
    "ResidualControl",
    "SelfAttention",
    "SpectralConv2D",
    "SpectralDense",
    "SpectralEmbedding",
    "SpectralNormalization",
]
