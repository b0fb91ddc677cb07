"""Small image files for tests, of random pixels unless they are given."""

import io

import numpy as np
from PIL import Image

from keras_sagan.data.prepared import prepare


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(image, kind="PNG", **options):
    """A Pillow image or an array as the bytes of a file."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def fill(folder, names):
    """A folder with a small PNG file at each of `names`, all different."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(noise(20, 24, seed=i)))
    return folder


def prepare_config(config, **options):
    """The images of a `Config`."""
    return prepare(config.image_set, config.data_dir, config.max_bad_fraction, **options)
