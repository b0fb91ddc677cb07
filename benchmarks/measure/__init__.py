"""Measurements, each in a process of its own, and the figures made of them."""
