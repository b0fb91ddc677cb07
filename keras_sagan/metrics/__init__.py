"""Scores of generated images: NumPy arithmetic, without TensorFlow."""
