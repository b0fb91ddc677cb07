"""Generators on TensorFlow Serving."""
