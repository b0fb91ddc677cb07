"""Scores of a run: its images, the features of them and of real ones, and what is recorded."""
