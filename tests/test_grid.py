"""Grids of images."""

import numpy as np
import pytest
from PIL import Image

from keras_sagan.visual.grid import GRAY, make_grid, save_png

IMAGES = np.arange(6 * 2 * 3 * 3, dtype=np.uint8).reshape(6, 2, 3, 3)


def test_images_stand_row_by_row_with_a_line_between():
    grid = make_grid(IMAGES, 3)
    assert grid.shape == (5, 11, 3)
    np.testing.assert_array_equal(grid[:2, :3], IMAGES[0])
    np.testing.assert_array_equal(grid[:2, 8:], IMAGES[2])
    np.testing.assert_array_equal(grid[3:, 4:7], IMAGES[4])
    assert (grid[2] == GRAY).all()
    assert (grid[:, 3] == GRAY).all()


def test_rows_must_be_full():
    with pytest.raises(ValueError, match=r"full rows of 4\. Received: 6 images"):
        make_grid(IMAGES, 4)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_png_holds_the_grid_enlarged_by_a_whole_factor(channels, mode, tmp_path):
    grid = make_grid(IMAGES[..., :channels], 2)
    save_png(grid, tmp_path / "a.png", image_size=16)
    picture = Image.open(tmp_path / "a.png")
    assert picture.mode == mode
    pixels = np.asarray(picture).reshape(4 * grid.shape[0], 4 * grid.shape[1], channels)
    np.testing.assert_array_equal(pixels[1::4, 2::4], grid)
