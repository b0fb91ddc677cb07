"""Images with color profiles, compared with the definitions of the color spaces."""

import numpy as np
import pytest
from images import decoded, encoded, noise
from PIL import Image, ImageCms
from profiles import (
    ADOBE,
    ADOBE_RGB,
    DISPLAY_P3,
    P3,
    SRGB,
    cmyk_profile,
    encode,
    gamma_curve,
    gray_profile,
    ink,
    lab_to_srgb,
    linear,
    rgb_profile,
    srgb_curve,
    to_srgb,
)

from keras_sagan.data.pixels import decode_image
from keras_sagan.preprocessing import Preprocessing

SIZE = 16
SQUARE = noise(SIZE, SIZE)
CONVERTED = {"converted": 1}


def notes(payload):
    return decode_image(payload, Preprocessing(SIZE, 3))[1]


def differ(image, expected):
    """The largest difference between two images."""
    return np.abs(image.astype(int) - expected).max()


def plain(color, mode="RGB"):
    return Image.new(mode, (SIZE, SIZE), color)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_red_of_display_p3_is_clipped_to_that_of_srgb(kind):
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    file = encoded(plain((255, 0, 0)), kind, icc_profile=P3, **options.get(kind, {}))
    assert notes(file) == CONVERTED
    assert differ(decoded(file), [255, 0, 0]) <= 3


@pytest.mark.parametrize(
    ("profile", "primaries", "decode"),
    [(P3, DISPLAY_P3, linear), (ADOBE, ADOBE_RGB, lambda values: values ** (563 / 256))],
    ids=["Display P3", "Adobe RGB"],
)
def test_mid_tones(profile, primaries, decode):
    colors = np.random.default_rng(0).integers(70, 190, (SIZE, SIZE, 3)).astype(np.uint8)
    file = encoded(colors, icc_profile=profile)
    expected = to_srgb(decode(colors / 255), primaries)
    assert differ(colors, expected) > 5
    assert differ(decoded(file), expected) <= 2
    assert notes(file) == CONVERTED


def test_gray_profile():
    levels = np.arange(256, dtype=np.uint8).reshape(SIZE, SIZE)
    file = encoded(levels, icc_profile=gray_profile(1.8))
    expected = encode((levels / 255) ** 1.8)
    assert differ(decoded(file)[..., 1], expected) <= 2
    assert differ(decoded(file, channels=1)[..., 0], expected) <= 2
    assert notes(file) == CONVERTED


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
@pytest.mark.parametrize("inks", [(1, 0, 0, 0), (0, 1, 1, 0), (0, 0, 0, 0), (0, 0, 0, 1)])
def test_cmyk_profile(kind, inks):
    image = plain(tuple(255 * each for each in inks), "CMYK")
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    file = encoded(image, kind, icc_profile=cmyk_profile(), **options)
    assert notes(file) == CONVERTED
    assert differ(decoded(file), lab_to_srgb(ink(*inks))) <= 3


def test_alpha_stays_and_the_background_is_srgb():
    color, clear = (128, 90, 30, 255), (128, 90, 30, 0)
    image = plain(color, "RGBA")
    image.paste(clear, (0, 0, SIZE, 8))
    file = encoded(image, icc_profile=ADOBE)
    assert notes(file) == {"converted": 1, "transparent": 1}
    found = decoded(file, background="#ff0080")
    np.testing.assert_array_equal(found[0, 0], [255, 0, 128])
    expected = to_srgb((np.array(color[:3]) / 255) ** (563 / 256), ADOBE_RGB)
    assert differ(found[-1], expected) <= 2


@pytest.mark.parametrize(
    ("image", "profile", "decode"),
    [
        (plain((90, 255), "LA"), gray_profile(1.8), lambda value: value**1.8),
        (plain(90, "L"), ADOBE, lambda value: value ** (563 / 256)),
        (plain((90, 255), "LA"), ADOBE, lambda value: value ** (563 / 256)),
        (plain((90, 90, 90)).quantize(4), ADOBE, lambda value: value ** (563 / 256)),
    ],
    ids=["gray with alpha", "gray in a profile of colors", "the same with alpha", "palette"],
)
def test_gray_values_and_palettes(image, profile, decode):
    file = encoded(image, icc_profile=profile)
    assert notes(file) == CONVERTED
    assert differ(decoded(file), encode(decode(90 / 255))) <= 2


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        rgb_profile(SRGB, srgb_curve()),
        rgb_profile(np.round(SRGB, 4), srgb_curve()),
    ],
    ids=["Pillow's", "ours", "rounded"],
)
def test_srgb_profiles_change_nothing(profile):
    file = encoded(SQUARE, icc_profile=profile)
    np.testing.assert_array_equal(decoded(file), SQUARE)
    assert notes(file) == {}


def test_another_curve_is_not_srgb():
    assert notes(encoded(SQUARE, icc_profile=rgb_profile(SRGB, gamma_curve(2.2)))) == CONVERTED


@pytest.mark.parametrize(
    "profile",
    [b"no profile", P3[:300], P3.replace(b"RGB ", b"Luv ", 1), cmyk_profile(), gray_profile(2)],
    ids=["text", "truncated", "another space", "of inks", "of grays"],
)
def test_broken_profiles_are_ignored_and_counted(profile):
    file = encoded(SQUARE, icc_profile=profile)
    np.testing.assert_array_equal(decoded(file), SQUARE)
    assert notes(file) == {"bad_profile": 1}
