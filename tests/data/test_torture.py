"""Every oddity of real image files, in one folder, compared with Pillow."""

import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from images import decoded, encoded, noise, png_chunk, prepare_config
from PIL import Image, ImageOps

from keras_sagan.config import Config
from keras_sagan.errors import RunError

SIZE = 16
SQUARE = noise(SIZE, SIZE)
ALPHA = np.dstack([SQUARE, noise(SIZE, SIZE, 1, seed=1)])
WIDE = (np.arange(SIZE * SIZE) * 256 + 77).astype(np.uint16).reshape(SIZE, SIZE)
NARROW = np.round(WIDE / 257)
TURNED = Image.Exif()
TURNED[0x0112] = 6
FRAMES = [Image.fromarray(noise(SIZE, SIZE, seed=i)).quantize(200) for i in range(3)]


def over_white(rgba):
    alpha = rgba[..., 3:].astype(float) / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def shrunk(array):
    """The largest central square, by Pillow's bicubic filter."""
    height, width = array.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(array[top : top + side, left : left + side])
    return np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def gray(array):
    return np.repeat(np.asarray(array)[..., None], 3, axis=-1)


def rgb(data):
    """What Pillow makes of a lossy file."""
    return np.asarray(Image.open(data).convert("RGB"))


CMYK = Image.fromarray(SQUARE).convert("CMYK")
LARGE = np.kron(noise(20, 25), np.ones((200, 200, 1), np.uint8))  # 4000 x 5000 pixels.
# File name: its bytes, and the pixels it must give, or None for those that lossy files have.
GOOD = {
    "plain.png": (encoded(SQUARE), SQUARE),
    "wide.png": (encoded(noise(40, 90)), shrunk(noise(40, 90))),
    "tall.webp": (encoded(noise(90, 41), "WEBP", lossless=True), shrunk(noise(90, 41))),
    "gray.png": (encoded(SQUARE[..., 0]), gray(SQUARE[..., 0])),
    "bilevel.png": (
        encoded(Image.fromarray(SQUARE[..., 0] > 99)),
        gray((SQUARE[..., 0] > 99) * 255),
    ),
    "palette.png": (encoded(FRAMES[0]), np.asarray(FRAMES[0].convert("RGB"))),
    "palette_with_a_clear_color.png": (
        encoded(FRAMES[0], transparency=7),
        np.where(gray(np.asarray(FRAMES[0]) == 7), 255, np.asarray(FRAMES[0].convert("RGB"))),
    ),
    "alpha.png": (encoded(ALPHA), over_white(ALPHA)),
    "gray_alpha.png": (
        encoded(Image.fromarray(ALPHA).convert("LA")),
        over_white(np.asarray(Image.fromarray(ALPHA).convert("LA").convert("RGBA"))),
    ),
    "cmyk.tif": (encoded(CMYK, "TIFF"), np.asarray(CMYK.convert("RGB"))),
    "cmyk.jpg": (encoded(CMYK, "JPEG", quality=100, subsampling=0), None),
    "sixteen_bits.png": (encoded(WIDE), gray(NARROW)),
    "sixteen_bits.tiff": (encoded(WIDE, "TIFF"), gray(NARROW)),
    "sixteen_bits_big_endian.tiff": (encoded(WIDE.astype(">u2"), "TIFF"), gray(NARROW)),
    "sixteen_bits.pgm": (encoded(WIDE, "PPM"), gray(NARROW)),
    "turned.png": (encoded(SQUARE, exif=TURNED), np.rot90(SQUARE, -1)),
    "turned.jpg": (encoded(SQUARE, "JPEG", quality=95, exif=TURNED), None),
    "animated.gif": (
        encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
        np.asarray(FRAMES[0].convert("RGB")),
    ),
    "one_pixel.bmp": (encoded(SQUARE[:1, :1], "BMP"), np.broadcast_to(SQUARE[0, 0], SQUARE.shape)),
    "twenty_megapixels.png": (encoded(LARGE), shrunk(LARGE)),
    "nested/深い/ünïcödé 名前.PNG": (encoded(SQUARE), SQUARE),
    "png_named.gif": (encoded(SQUARE), SQUARE),
}
TRUNCATED = encoded(noise(60, 60), "JPEG", quality=95)[:900]
# Of 200 and of 90.1 million pixels.
BOMB, SMALL_BOMB = (encoded(Image.new("1", (width, 10_000))) for width in (20_000, 9_010))
# It claims 400 million pixels, and has none.
HUGE = encoded(SQUARE)[:16] + struct.pack(">II", 20_000, 20_000)
HUGE += encoded(SQUARE)[24:29] + struct.pack(">I", zlib.crc32(HUGE[12:] + encoded(SQUARE)[24:29]))
HUGE += encoded(SQUARE)[33:]
TEXT_BOMB = b"Comment\0\0" + zlib.compress(bytes(2**21))
TEXT_BOMB = encoded(SQUARE)[:33] + png_chunk(b"zTXt", TEXT_BOMB) + encoded(SQUARE)[33:]
BAD = {
    "truncated.jpg": (TRUNCATED, "Truncated"),
    "truncated.png": (encoded(noise(60, 60))[:900], "truncated"),
    "empty.jpg": (b"", "not an image of a known format"),
    "text.jpeg": (b"This is not an image.", "not an image of a known format"),
    "script.png": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "not an image of a known format",
    ),
    "bomb.png": (BOMB, "200 megapixels, above --max_megapixels=90"),
    "small_bomb.png": (SMALL_BOMB, "90.1 megapixels, above --max_megapixels=90"),
    "huge.png": (HUGE, "more than 360 megapixels, above --max_megapixels=90"),
    "text_bomb.png": (TEXT_BOMB, "Decompressed data too large"),
    "pointer.png": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a Git LFS pointer in place of the image: run git lfs pull",
    ),
    "floats.tif": (encoded(SQUARE[..., 0].astype(np.float32), "TIFF"), "8 or 16 bits"),
}
NO_FILES = ("dangling.png", "pipe.png")
IGNORED = {
    "notes.txt": b"Not an image.",
    ".hidden.png": encoded(SQUARE),
    ".git/a.png": encoded(SQUARE),
}


@pytest.fixture(scope="module")
def tortured(tmp_path_factory):
    """A folder of two classes: one has all good files, the other all bad ones and a good one."""
    top = tmp_path_factory.mktemp("torture")
    files = {f"good/{name}": data for name, (data, _) in GOOD.items()}
    files |= {f"bad/{name}": data for name, (data, _) in BAD.items()}
    files |= {f"good/{name}": data for name, data in IGNORED.items()} | {
        "bad/fine.png": encoded(SQUARE)
    }
    for name, data in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    os.symlink(top, top / "good" / "round_and_round")
    os.symlink(top / "nowhere", top / "good" / "dangling.png")
    os.mkfifo(top / "good" / "pipe.png")
    (top / "good" / "folder.jpg").mkdir()
    (top / ".thumbnails").mkdir()
    (top / ".thumbnails" / "a.png").write_bytes(encoded(SQUARE))
    return top


def prepared_torture(tortured, tmp_path, **changes):
    return prepare_config(
        Config(
            dataset=f"folder:{tortured}",
            image_size=SIZE,
            data_dir=str(tmp_path),
            **{"max_bad_fraction": 0.5} | changes,
        )
    )


def test_every_good_file_gives_the_right_pixels(tortured, tmp_path, capfd):
    prepared = prepared_torture(tortured, tmp_path)
    assert prepared.record["classes"] == ["bad", "good"]
    assert prepared.record["counts"] == [1, len(GOOD)]
    found = [image for image, label in zip(prepared.images, prepared.labels, strict=True) if label]
    for name, (_, expected) in GOOD.items():
        if expected is None:
            with warnings.catch_warnings(), Image.open(tortured / "good" / name) as image:
                expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        distance = min(np.abs(image - np.asarray(expected, float)).max() for image in found)
        assert distance <= 1, (name, distance)
    log = capfd.readouterr().err
    for name, (_, reason) in BAD.items():
        (row,) = [row for row in prepared.record["left_out"] if row["name"] == f"bad/{name}"]
        assert reason.lower() in row["reason"].lower()
        assert f"left out: bad/{name}: " in log
    assert len(prepared.record["left_out"]) == len(BAD) + len(NO_FILES)


def test_too_many_bad_files_are_an_error_that_lists_them(tortured, tmp_path):
    count = len(BAD) + len(NO_FILES)
    with pytest.raises(
        RunError, match=rf"at most 6.0% .* Received: {count} of {count + len(GOOD) + 1}"
    ) as error:
        prepared_torture(tortured, tmp_path, max_bad_fraction=0.06)
    for name in BAD:
        assert f"bad/{name} (" in str(error.value)
    assert not list((tmp_path / "prepared").glob("*torture*"))
    assert not list((tmp_path / "prepared").glob(".unfinished*"))


def test_gray_networks_see_gray_images(tortured, tmp_path):
    prepared = prepared_torture(tortured, tmp_path, image_channels=1)
    expected = np.asarray(Image.fromarray(SQUARE).convert("L"))
    assert any(np.array_equal(image[..., 0], expected) for image in prepared.images)


def test_pixels_of_arrays_and_paths(tmp_path):
    np.testing.assert_array_equal(decoded(SQUARE), SQUARE)
    np.testing.assert_array_equal(decoded(SQUARE[..., :1], channels=1), SQUARE[..., :1])
    (tmp_path / "a.png").write_bytes(encoded(SQUARE))
    np.testing.assert_array_equal(decoded(str(tmp_path / "a.png")), SQUARE)
