"""Scores of a run: features of its images and of real ones, metrics, and records."""
