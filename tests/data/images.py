"""Small image files for tests, of random pixels unless they are given."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from keras_sagan.data.decode_process import decode_or_explain
from keras_sagan.data.pixels import decode_image
from keras_sagan.data.prepared import prepare
from keras_sagan.preprocessing import Preprocessing


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


def decoded(payload, size=16, channels=3, **settings):
    """An image's pixels."""
    return decode_image(payload, Preprocessing(size, channels, **settings))[0]


def notes(payload, **settings):
    """What decoding found in an image."""
    return decode_image(payload, Preprocessing(16, 3, **settings))[1]


def reason(payload, **settings):
    """Why a file is not decoded."""
    result = decode_or_explain(payload, Preprocessing(16, 3, **settings))
    assert isinstance(result, str)
    return result


def png_of_16_bits(levels):
    """A PNG of 16-bit gray, gray and alpha, RGB or RGBA values `[h, w, 1 to 4]`."""
    height, width, bands = levels.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    rows = levels.astype(">u2").reshape(height, -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
