"""Pictures and pages of what a network makes, and of where it looks."""

from keras_sagan.visual.attention_figure import plot_attention
from keras_sagan.visual.grid import make_grid
from keras_sagan.visual.maps import attention_maps

__all__ = ["attention_maps", "make_grid", "plot_attention"]
