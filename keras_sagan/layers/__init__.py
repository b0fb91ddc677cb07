"""Keras layers of the two networks. Only TensorFlow and Keras are imported here."""

import keras

from keras_sagan.layers.attention import ResidualControl, SelfAttention
from keras_sagan.layers.conditional import ConditionalBatchNormalization
from keras_sagan.layers.spectral import SpectralConv2D, SpectralDense, SpectralEmbedding
from keras_sagan.layers.spectral_normalization import SpectralNormalization

if keras.config.backend() != "tensorflow":
    raise ImportError(
        "keras_sagan runs on the TensorFlow backend of Keras: set `backend` in keras.json to "
        f"'tensorflow'. Received: backend={keras.config.backend()!r}"
    )

__all__ = [
    "ConditionalBatchNormalization",
    "ResidualControl",
    "SelfAttention",
    "SpectralConv2D",
    "SpectralDense",
    "SpectralEmbedding",
    "SpectralNormalization",
]
