"""Many images in one picture."""

import numpy as np
from PIL import Image

# Images smaller than this many pixels are enlarged by a whole factor, so that a person sees them.
LEGIBLE = 64
# Between images.
GRAY = 96


def make_grid(images, columns):
    """Images row by row, with a gray line between neighbors, as one array.

    Args:
        images: uint8 `[n, height, width, channels]`, of 1 or 3 channels; n a multiple of columns.
        columns: int.

    Returns:
        uint8 `[rows * (height + 1) - 1, columns * (width + 1) - 1, channels]`.

    Raises:
        ValueError: if the images do not fill the rows.
    """
    count, height, width, channels = images.shape
    if count % columns:
        raise ValueError(f"expected full rows of {columns}. Received: {count} images")
    framed = np.pad(images, [(0, 0), (0, 1), (0, 1), (0, 0)], constant_values=GRAY)
    rows = framed.reshape(count // columns, columns, height + 1, width + 1, channels)
    return rows.swapaxes(1, 2).reshape(-1, columns * (width + 1), channels)[:-1, :-1]


def save_png(grid, path, image_size):
    """Writes a grid of `make_grid` as PNG; small images are enlarged by nearest neighbor."""
    picture = Image.fromarray(grid[..., 0] if grid.shape[-1] == 1 else grid)
    factor = max(1, LEGIBLE // image_size)
    picture = picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )
    picture.save(path, format="PNG")
