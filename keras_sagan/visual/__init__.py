"""Pictures and pages of what a network makes, and of where it looks."""

from keras_sagan.visual.attention import attention_maps
from keras_sagan.visual.attention_figure import plot_attention

__all__ = ["attention_maps", "plot_attention"]
