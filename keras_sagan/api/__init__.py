"""SAGAN as a Keras model: create or load one, generate images, train it and score it."""

from keras_sagan.api.model import SAGAN, load

__all__ = ["SAGAN", "load"]
