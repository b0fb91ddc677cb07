"""Scores of generated images, computed with NumPy only."""
