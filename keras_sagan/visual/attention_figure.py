"""The figure of the paper: images with points, and for each point where it attends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_sagan.visual.maps import full_color, most_attended

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colors, which people with any color vision can distinguish.
COLORS = ("#D55E00", "#009E73", "#0072B2", "#CC79A7", "#E69F00")
INCHES = 1.4


def plot_attention(
    images: np.ndarray,
    maps: np.ndarray,
    queries: Sequence[tuple[int, int]] | None = None,
    captions: Sequence[str] | None = None,
) -> Figure:
    """Draws images and the attention maps of some of their positions, as in figures 1 and 5.

    Each row shows an image with the positions as points, then a map for each of them over the gray
    image. A map's color goes from transparent (nothing) to yellow (its peak, if that is at least
    four times an even share). Arrows lead from the point to the places that stand out
    (`most_attended`). The title gives the peak's share, and its ratio to an even share.
    Source: https://arxiv.org/abs/1805.08318.

    Args:
        images: `[n, height, width, channels]`, uint8, or float in [-1, 1]; 1 or 3 channels.
        maps: `[n, H, W, h, w]`, of one layer of `attention_maps`.
        queries: (y, x) of each position in the layer's feature map; by default five, spread out.
        captions: text beside each row.

    Returns:
        A matplotlib figure, which notebooks show.

    Raises:
        ValueError: if the numbers of images and maps differ, or a query is outside of the map.
        ImportError: without matplotlib, which the extra `benchmarks` installs.
    """
    # Importing it takes a second, and nothing else in the package needs it.
    from matplotlib.figure import Figure

    images, size = to_levels(images), maps.shape[1:3]
    queries = spread_positions(*size) if queries is None else queries
    check_maps(len(images), maps, queries)
    columns = 1 + len(queries)
    figure = Figure((INCHES * columns, (INCHES + 0.22) * len(images)), layout="constrained")
    axes = figure.subplots(len(images), columns, squeeze=False)
    for row, image, image_maps in zip(axes, images, maps, strict=True):
        draw_image(row[0], image)
        for axis, color, (y, x) in zip(row[1:], itertools.cycle(COLORS), queries, strict=False):
            point = (x + 0.5) / size[1], (y + 0.5) / size[0]
            row[0].plot(*point, "o", color=color, markeredgecolor="white", markersize=6)
            draw_map(axis, image, image_maps[y, x], point, color)
    for row, caption in zip(axes, captions or (), strict=False):
        row[0].set_ylabel(caption, fontsize=7)
    return figure


def check_maps(count: int, maps: np.ndarray, queries: Sequence[tuple[int, int]]) -> None:
    """Raises a `ValueError` unless there are `count` maps, of positions that include `queries`."""
    height, width = maps.shape[1:3]
    if count != len(maps):
        raise ValueError(f"expected a map for each image. Received: {count}, {len(maps)}")
    if not all(0 <= y < height and 0 <= x < width for y, x in queries):
        raise ValueError(f"expected positions in {height} x {width}. Received: {queries}")


def to_levels(images: np.ndarray) -> np.ndarray:
    """Images as uint8 `[n, height, width, 3]`."""
    images = np.asarray(images)
    if images.dtype != np.uint8:
        images = np.clip(np.round(images * 127.5 + 127.5), 0, 255).astype(np.uint8)
    return np.broadcast_to(images, (*images.shape[:3], 3))


def spread_positions(height: int, width: int) -> list[tuple[int, int]]:
    """Five positions of a feature map: its center and the centers of its quarters."""
    places = ((1 / 4, 1 / 4), (1 / 4, 3 / 4), (1 / 2, 1 / 2), (3 / 4, 1 / 4), (3 / 4, 3 / 4))
    return [(int(y * height), int(x * width)) for y, x in places]


def draw_image(axis: Axes, image: np.ndarray) -> None:
    """Draws an image with both axes from 0 to 1, y downward."""
    axis.imshow(image, extent=(0, 1, 1, 0), interpolation="nearest", aspect="auto")
    axis.set_box_aspect(image.shape[0] / image.shape[1])
    axis.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])


def draw_map(axis: Axes, image: np.ndarray, attention: np.ndarray, point, color) -> None:
    """Draws the map of one position, at `point`, over the gray image, with arrows from there."""
    gray = (image.mean(-1, keepdims=True) * 0.6).astype(np.uint8)
    draw_image(axis, np.broadcast_to(gray, image.shape))
    share, area = attention / full_color(attention), (0, 1, 1, 0)
    axis.imshow(share, cmap="plasma", alpha=share, vmin=0, vmax=1, extent=area, aspect="auto")
    for row, column in most_attended(attention):
        place = (column + 0.5) / attention.shape[1], (row + 0.5) / attention.shape[0]
        style = {"arrowstyle": "->", "color": color, "linewidth": 1.6}
        axis.annotate("", place, point, arrowprops=style)
    axis.plot(*point, "o", color=color, markeredgecolor="white", markersize=5)
    axis.spines[:].set(color=color, linewidth=2)
    axis.set_box_aspect(image.shape[0] / image.shape[1])
    peak = attention.max()
    axis.set_title(f"{peak:.1%}, {peak * attention.size:.1f}x even", fontsize=7, pad=2)
