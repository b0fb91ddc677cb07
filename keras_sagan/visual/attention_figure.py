"""The figure of the paper: images with points, and for each point what it looks at."""

import numpy as np

from keras_sagan.visual.maps import full_color, most_attended

# Okabe and Ito's colors, which can be told apart without color vision.
COLORS = ("#D55E00", "#009E73", "#0072B2", "#CC79A7", "#E69F00")
INCHES = 1.4


def plot_attention(images, maps, queries=None, captions=None):
    """Draws images and the attention maps of some of their positions, as figures 1 and 5 of SAGAN.

    A row an image: the image with the positions as points, then a map for each of them, from
    transparent (nothing) to yellow (the map's peak, and at least four times an even share), over
    the image in gray. Arrows lead from the point to the places that stand out (`most_attended`);
    above stands how much of the attention the peak has, and how many times an even share that is.
    Source: https://arxiv.org/abs/1805.08318.

    Args:
        images: `[n, height, width, channels]`, uint8, or float in [-1, 1]; 1 or 3 channels.
        maps: `[n, H, W, h, w]`, of one layer of `attention_maps`.
        queries: list of (y, x), positions of the layer's feature map; five spread ones by default.
        captions: list of n str to stand beside the rows, or None.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ValueError: if there are not as many images as maps, or a query is outside.
        ImportError: without matplotlib, which the extra `benchmarks` brings.
    """
    # It takes a second to import, and no other part of the package needs it.
    from matplotlib.figure import Figure

    images, size = levels(images), maps.shape[1:3]
    queries = spread(*size) if queries is None else queries
    if len(images) != len(maps):
        raise ValueError(f"expected a map for each image. Received: {len(images)}, {len(maps)}")
    if not all(0 <= y < size[0] and 0 <= x < size[1] for y, x in queries):
        raise ValueError(f"expected positions in {size[0]} x {size[1]}. Received: {queries}")
    columns = 1 + len(queries)
    figure = Figure((INCHES * columns, (INCHES + 0.22) * len(images)), layout="constrained")
    axes = figure.subplots(len(images), columns, squeeze=False)
    for row, image, image_maps in zip(axes, images, maps, strict=True):
        draw_image(row[0], image)
        for axis, color, (y, x) in zip(row[1:], colors(queries), queries, strict=True):
            center = (y + 0.5) / size[0], (x + 0.5) / size[1]
            row[0].plot(*center[::-1], "o", color=color, markeredgecolor="white", markersize=6)
            draw_map(axis, image, image_maps[y, x], center, color)
    for row, caption in zip(axes, captions or (), strict=False):
        row[0].set_ylabel(caption, fontsize=7)
    return figure


def levels(images):
    """Images as uint8 `[n, height, width, 3]`."""
    images = np.asarray(images)
    if images.dtype != np.uint8:
        images = np.clip(np.round(images * 127.5 + 127.5), 0, 255).astype(np.uint8)
    return np.broadcast_to(images, (*images.shape[:3], 3))


def spread(height, width):
    """Five positions of a feature map: its center, and the centers of its quarters."""
    places = ((1 / 4, 1 / 4), (1 / 4, 3 / 4), (1 / 2, 1 / 2), (3 / 4, 1 / 4), (3 / 4, 3 / 4))
    return [(int(y * height), int(x * width)) for y, x in places]


def colors(queries):
    return [COLORS[i % len(COLORS)] for i in range(len(queries))]


def draw_image(axis, image):
    """An image with both axes from 0 to 1, y downward."""
    axis.imshow(image, extent=(0, 1, 1, 0), interpolation="nearest", aspect="auto")
    axis.set_box_aspect(image.shape[0] / image.shape[1])
    axis.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])


def draw_map(axis, image, attention, center, color):
    gray = (image.mean(-1, keepdims=True) * 0.6).astype(np.uint8)
    draw_image(axis, np.broadcast_to(gray, image.shape))
    share = attention / full_color(attention)
    axis.imshow(
        share, cmap="plasma", alpha=share, vmin=0, vmax=1, extent=(0, 1, 1, 0), aspect="auto"
    )
    for row, column in most_attended(attention):
        place = (column + 0.5) / attention.shape[1], (row + 0.5) / attention.shape[0]
        style = {"arrowstyle": "->", "color": color, "linewidth": 1.6}
        axis.annotate("", place, center[::-1], arrowprops=style)
    axis.plot(*center[::-1], "o", color=color, markeredgecolor="white", markersize=5)
    axis.spines[:].set(color=color, linewidth=2)
    axis.set_box_aspect(image.shape[0] / image.shape[1])
    peak = attention.max()
    axis.set_title(f"{peak:.1%}, {peak * attention.size:.1f}x even", fontsize=7, pad=2)
