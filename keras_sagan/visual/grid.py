"""Many images in one picture."""

import pathlib
from typing import IO

import numpy as np
from PIL import Image

# Pixels; smaller images are enlarged by a whole factor so that details are visible.
LEGIBLE = 64
# Level of the lines between images.
GRAY = 96


def make_grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Arranges images row by row in one array, with a gray line between neighbors.

    Args:
        images: uint8 `[n, height, width, channels]`, 1 or 3 channels; n is a multiple of `columns`.
        columns: images in a row.

    Returns:
        uint8 `[rows * (height + 1) - 1, columns * (width + 1) - 1, channels]`.

    Raises:
        ValueError: if the images do not fill the last row.
    """
    count, height, width, channels = images.shape
    if count % columns:
        raise ValueError(f"expected full rows of {columns}. Received: {count} images")
    framed = np.pad(images, [(0, 0), (0, 1), (0, 1), (0, 0)], constant_values=GRAY)
    rows = framed.reshape(count // columns, columns, height + 1, width + 1, channels)
    return rows.swapaxes(1, 2).reshape(-1, columns * (width + 1), channels)[:-1, :-1]


def save_png(grid: np.ndarray, path: pathlib.Path | IO[bytes], image_size: int) -> None:
    """Writes a grid as PNG; images of few pixels are enlarged by nearest neighbor."""
    picture = Image.fromarray(grid[..., 0] if grid.shape[-1] == 1 else grid)
    factor = max(1, LEGIBLE // image_size)
    size = picture.width * factor, picture.height * factor
    picture.resize(size, Image.Resampling.NEAREST).save(path, format="PNG")
