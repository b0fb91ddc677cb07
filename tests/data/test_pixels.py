"""Depth, shape and size of images, compared with NumPy and Pillow."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from images import decoded, encoded, noise, notes, png_of_16_bits, reason
from PIL import Image

from keras_sagan.data.pixels import RefusedImageError, describe_preprocessing
from keras_sagan.preprocessing import Preprocessing

SIZE = 16
SQUARE = noise(SIZE, SIZE)
TALL, WIDE = noise(40, SIZE), noise(SIZE, 41)
TWELVE_BITS = np.random.default_rng(0).integers(0, 4096, (SIZE, SIZE)).astype(np.uint16)


def resized(array, width=SIZE, height=SIZE):
    return np.asarray(Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("array", "crop_at", "expected"),
    [
        (TALL, "top", TALL[:16]),
        (TALL, "bottom", TALL[24:]),
        (TALL, "center", TALL[12:28]),
        (TALL, "left", TALL[12:28]),
        (WIDE, "left", WIDE[:, :16]),
        (WIDE, "right", WIDE[:, 25:]),
        (WIDE, "top", WIDE[:, 12:28]),
    ],
)
def test_square_lies_where_it_should(array, crop_at, expected):
    np.testing.assert_array_equal(decoded(array, crop_at=crop_at), expected)
    np.testing.assert_array_equal(decoded(encoded(array), crop_at=crop_at), expected)
    assert notes(array) == {"not_square": 1}


def test_orientation_comes_before_the_crop():
    turned = Image.Exif()
    turned[0x0112] = 6
    expected = np.rot90(WIDE, -1)[:16]
    np.testing.assert_array_equal(decoded(encoded(WIDE, exif=turned), crop_at="top"), expected)


def test_padding_shows_the_background():
    image = decoded(encoded(TALL), fit="pad", background="#102030")
    np.testing.assert_array_equal(image[:, 5:11], resized(TALL, 6, 16))
    borders = np.delete(image, range(5, 11), axis=1)
    np.testing.assert_array_equal(borders, np.broadcast_to([16, 32, 48], borders.shape))


def test_padding_of_gray_and_of_very_thin_images():
    image = decoded(WIDE[..., :1], channels=1, fit="pad", background="red")
    np.testing.assert_array_equal(image[5:11, :, 0], resized(WIDE[..., 0], 16, 6))
    assert image[0, 0, 0] == Image.new("RGB", (1, 1), "red").convert("L").getpixel((0, 0))
    thin = decoded(np.zeros((1, 900, 3), np.uint8), fit="pad")
    assert (thin[7:9].min(), thin[[0, -1]].min()) == (0, 255)


@pytest.mark.parametrize("array", [TALL, WIDE, SQUARE], ids=["tall", "wide", "square"])
def test_stretching_keeps_everything(array):
    np.testing.assert_array_equal(decoded(array, fit="stretch"), resized(array))


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_transparency_lies_over_the_background(fit):
    alpha = noise(SIZE, SIZE, 1, seed=5)
    image = decoded(encoded(np.dstack([SQUARE, alpha])), fit=fit, background="navy")
    share = alpha[..., None] / 255
    expected = SQUARE * share + np.array([0, 0, 128]) * (1 - share)
    assert np.abs(image - expected).max() <= 1


def test_only_images_with_transparent_parts_are_counted():
    alpha = np.full((SIZE, SIZE, 1), 255, np.uint8)
    assert notes(encoded(np.concatenate([SQUARE, alpha], axis=-1))) == {}
    alpha[3, 3] = 254
    assert notes(encoded(np.concatenate([SQUARE, alpha], axis=-1))) == {"transparent": 1}
    palette = Image.fromarray(SQUARE).quantize(20)
    assert notes(encoded(palette, transparency=3)) == {"transparent": 1}


@pytest.mark.parametrize(
    "file",
    [
        encoded(TWELVE_BITS),
        encoded(TWELVE_BITS, "TIFF"),
        encoded(TWELVE_BITS.astype(">u2"), "TIFF"),
        encoded(TWELVE_BITS, "TIFF", compression="tiff_lzw"),
        encoded(TWELVE_BITS, "PPM"),
    ],
    ids=["png", "tiff", "big-endian tiff", "lzw tiff", "pgm"],
)
def test_white_level(file):
    found = {"sixteen_bit": 1, "highest_level": int(TWELVE_BITS.max())}
    assert notes(file) == found
    assert decoded(file).max() <= 16
    expected = np.round(TWELVE_BITS / 4095 * 255)
    np.testing.assert_array_equal(decoded(file, white_level=4095)[..., 1], expected)
    clipped = np.round(np.minimum(TWELVE_BITS, 1023) / 1023 * 255)
    np.testing.assert_array_equal(decoded(file, white_level=1023)[..., 1], clipped)


def test_white_level_is_not_of_8_bits():
    np.testing.assert_array_equal(decoded(encoded(SQUARE), white_level=4095), SQUARE)


def tiff_of_16_bit_color(levels):
    """An uncompressed TIFF of RGB values `[h, w, 3]`."""
    height, width, _ = levels.shape
    data = levels.astype("<u2").tobytes()
    end = 8 + len(data)
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, end), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, 3), (278, 4, 1, height)]
    tags += [(279, 4, 1, len(data))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    bits = struct.pack("<3H", 16, 16, 16)
    return b"II*\0" + struct.pack("<I", end + 6) + data + bits + directory + bytes(4)


@pytest.mark.parametrize(
    ("write", "bands"),
    [(png_of_16_bits, 3), (png_of_16_bits, 4), (png_of_16_bits, 2), (tiff_of_16_bit_color, 3)],
    ids=["png", "png with alpha", "gray png with alpha", "tiff"],
)
def test_16_bit_color_is_read_right_or_refused(write, bands):
    levels = np.random.default_rng(0).integers(0, 65536, (SIZE, SIZE, bands))
    if bands in (2, 4):
        levels[..., -1] = 65535
    file, channel = write(levels), 0 if bands == 2 else 1
    np.testing.assert_array_equal(decoded(file)[..., channel], levels[..., channel] >> 8)
    assert notes(file) == {"sixteen_bit_color": 1, "highest_upper_byte": 255}
    assert "16 bits per color" in reason(file, white_level=4095)
    assert "--white_level=65535" in reason(file, white_level=4095)


def test_jpeg_above_the_limit_is_decoded_at_half_its_size():
    gradient = np.broadcast_to(np.arange(0, 240, dtype=np.uint8)[:, None], (240, 200))
    file = encoded(np.ascontiguousarray(gradient), "JPEG", quality=95)
    assert notes(file, max_megapixels=0.048) == {"not_square": 1}
    assert notes(file, max_megapixels=0.047) == {"not_square": 1, "reduced": 1}
    assert notes(file, max_megapixels=0.012) == {"not_square": 1, "reduced": 1}
    whole, half = (decoded(file, max_megapixels=limit).astype(int) for limit in (0.048, 0.012))
    assert np.abs(whole - half).max() <= 3
    with pytest.raises(RefusedImageError, match=r"^0\.1 megapixels, above --max_megapixels=0\.02$"):
        decoded(file, max_megapixels=0.02, size=128)
    with pytest.raises(RefusedImageError, match=r"^more than 0\.0476 megapixels, above"):
        decoded(file, max_megapixels=0.0119)


def test_jpeg_of_two_pictures_is_one_image_and_can_be_reduced():
    first, second = (Image.fromarray(noise(SIZE, SIZE, seed=i)).resize((64, 64)) for i in range(2))
    file = encoded(first, "MPO", save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(file)).format == "MPO"
    assert notes(file) == {}
    assert notes(file, max_megapixels=0.002) == {"reduced": 1}


def test_jpeg_is_not_reduced_below_the_size_it_is_needed_in():
    file = encoded(np.zeros((300, 30), np.uint8), "JPEG")
    assert notes(file, max_megapixels=0.009) == {"not_square": 1}
    assert "megapixels, above --max_megapixels=0.008" in reason(file, max_megapixels=0.008)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_other_formats_above_the_limit_are_refused(kind):
    file = encoded(noise(300, 400), kind)
    assert reason(file, max_megapixels=0.1) == "0.2 megapixels, above --max_megapixels=0.1"
    assert reason(file, max_megapixels=0.02).startswith("more than 0.08 megapixels, above --max")
    assert decoded(file, max_megapixels=0.12).shape == (SIZE, SIZE, 3)


def test_limit_of_pillow_is_as_before():
    before = Image.MAX_IMAGE_PIXELS
    decoded(encoded(SQUARE))
    reason(encoded(SQUARE), max_megapixels=1e-5)
    assert before == Image.MAX_IMAGE_PIXELS


MEMORY = """
import sys
from keras_sagan.data.pixels import decode_image
from keras_sagan.preprocessing import Preprocessing
pixels, notes = decode_image(sys.argv[1], Preprocessing(64, 3))
status = open("/proc/self/status").read()
print(pixels.min(), pixels.max(), notes["reduced"], status.split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_jpeg_of_108_megapixels_needs_little_memory(tmp_path, options):
    Image.new("L", (12_000, 9_000), 77).convert("RGB").save(tmp_path / "a.jpg", **options)
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "a.jpg")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    *found, kilobytes = map(int, result.stdout.split())
    assert found == [77, 77, 1]
    # A progressive file's coefficients are 3 bytes per pixel.
    assert kilobytes < (650_000 if options else 300_000)


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        ({}, ["largest central square", "transparency over white", "16 bits to 8;"]),
        ({"crop_at": "top"}, ["largest square, at the top"]),
        ({"fit": "pad", "background": "#112233"}, ["padded with #112233", "over #112233"]),
        ({"fit": "stretch", "white_level": 4095}, ["stretched", "16 bits to 8, white at 4095;"]),
    ],
)
def test_record_says_what_was_done(settings, texts):
    text = describe_preprocessing(Preprocessing(SIZE, 3, **settings))
    for each in texts:
        assert each in text


def test_changes_are_those_of_pixels():
    assert Preprocessing(SIZE, 1, max_megapixels=5).changes() == {"max_megapixels": 5}
    changed = {"fit": "pad", "background": "red", "white_level": 255}
    assert Preprocessing(SIZE, 3, **changed).changes() == changed
    assert Preprocessing(SIZE, 3, crop_at="top").changes() == {"crop_at": "top"}
