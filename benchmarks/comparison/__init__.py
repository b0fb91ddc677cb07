"""Comparisons of training runs: what they consist of, how they run, what they recorded."""
