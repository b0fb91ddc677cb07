"""The SAGAN that one would write today from stock parts of Keras, as a baseline."""
