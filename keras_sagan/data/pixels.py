"""Decodes images of any kind to the pixels that a network sees."""

import contextlib
import functools
import io
import math
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from keras_sagan.data.color_profiles import convert_to_srgb
from keras_sagan.data.formats import open_file
from keras_sagan.preprocessing import Preprocessing

# A JPEG of this many times `max_megapixels` is still opened: at half its height and width it is
# within the limit. Not at an eighth, because its decoder holds all the coefficients of a
# progressive file, 3 to 6 bytes per full-size pixel.
REDUCIBLE = 4


class RefusedImageError(Exception):
    """An image that is not decoded; the text is the reason."""


def describe_preprocessing(preprocessing: Preprocessing) -> str:
    """What `decode_image` does, for the record of a prepared set."""
    p = preprocessing
    where = "central square" if p.crop_at == "center" else f"square, at the {p.crop_at}"
    shape = {"crop": f"largest {where}", "pad": f"padded with {p.background}"}
    white = "" if p.white_level == 65535 else f", white at {p.white_level}"
    return (
        f"first frame; turned as EXIF says; 16 bits to 8{white}; color profile to sRGB; "
        f"transparency over {p.background}; {shape.get(p.fit, 'stretched to a square')}; resized "
        "by Pillow's bicubic filter, antialiased"
    )


def decode_image(
    payload: str | bytes | np.ndarray | BinaryIO, preprocessing: Preprocessing
) -> tuple[np.ndarray, dict[str, int]]:
    """Decodes an image, makes it square, and resizes it.

    Args:
        payload: path of an encoded file, its bytes, the open file, or uint8 `[h, w, 1 or 3]`.
        preprocessing: how.

    Returns:
        The pixels, uint8 `[size, size, channels]`, and what `notices.py` describes: counts of what
        was found or changed, and largest values.

    Raises:
        RefusedImageError: if the image is too large, or its values cannot be read correctly.
        Exception: of many types, if it is broken. Pillow's readers share no base class of errors.
    """
    size, channels = preprocessing.size, preprocessing.channels
    mode, notes = "L" if channels == 1 else "RGB", {}
    with warnings.catch_warnings(), limit_pillow(preprocessing.max_megapixels):
        warnings.simplefilter("ignore")  # Pillow warns about odd metadata.
        image, profile = open_image(payload, preprocessing, notes)
        image = to_8_bits(image, preprocessing.white_level, notes)
        if image.width != image.height:
            notes["not_square"] = 1
            if preprocessing.fit == "crop":
                image = crop_square(image, preprocessing.crop_at)
        image = convert_to_srgb(image, profile, notes)
        image = without_alpha(image, preprocessing.background, notes)
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (size, size):
        image = resize_image(image, preprocessing)
    pixels = np.frombuffer(image.tobytes(), np.uint8)  # Faster than `np.asarray(image)`.
    return pixels.reshape(size, size, channels), notes


@contextlib.contextmanager
def limit_pillow(max_megapixels: float) -> Iterator[None]:
    """Has Pillow refuse images that `limit_size` could not reduce, before it opens them."""
    before = Image.MAX_IMAGE_PIXELS
    most = REDUCIBLE * max_megapixels
    Image.MAX_IMAGE_PIXELS = int(most * 1e6) // 2  # It refuses images of twice as many.
    try:
        yield
    except Image.DecompressionBombError as error:
        reason = f"more than {most:g} megapixels, above --max_megapixels={max_megapixels:g}"
        raise RefusedImageError(reason) from error
    finally:
        Image.MAX_IMAGE_PIXELS = before


def open_image(
    payload: str | bytes | np.ndarray | BinaryIO,
    preprocessing: Preprocessing,
    notes: dict[str, int],
) -> tuple[Image.Image, bytes | None]:
    """The first frame, rotated according to EXIF, and its color profile."""
    if isinstance(payload, np.ndarray):
        return Image.fromarray(payload[..., 0] if payload.shape[-1] == 1 else payload), None
    with open_file(io.BytesIO(payload) if isinstance(payload, bytes) else payload) as image:
        limit_size(image, preprocessing, notes)
        is_wide = image.mode[0] != "I" and any(";16" in str(tile.args) for tile in image.tile[:1])
        if is_wide and preprocessing.white_level != 65535:
            raise RefusedImageError(
                "16 bits per color need --white_level=65535, because Pillow keeps only 8 of them"
            )
        profile, frame = image.info.get("icc_profile"), ImageOps.exif_transpose(image)
        if is_wide:
            highest = int(np.asarray(frame.convert("RGB")).max())
            notes |= {"sixteen_bit_color": 1, "highest_upper_byte": highest}
        if has_frames(image):
            notes["animated"] = 1
    return frame, profile


def has_frames(image: Image.Image) -> bool:
    """Whether an image, whose first frame is decoded, has more frames."""
    if image.format == "MPO":  # A photo with a preview, as phones write.
        return False
    try:
        return getattr(image, "is_animated", False)
    except Exception:  # Only a frame after the first is broken.
        return True


def limit_size(image: Image.Image, preprocessing: Preprocessing, notes: dict[str, int]) -> None:
    """Has a JPEG that is too large decoded at half its size, and refuses other images."""
    most, pixels = preprocessing.max_megapixels, image.width * image.height
    if pixels <= most * 1e6:
        return
    half = (image.width // 2, image.height // 2)
    if min(half) < preprocessing.size or not image.draft(None, half):
        found = math.ceil(pixels / 1e5) / 10
        raise RefusedImageError(f"{found:g} megapixels, above --max_megapixels={most:g}")
    notes["reduced"] = 1


@functools.cache
def table_of_levels(white_level: int) -> np.ndarray:
    """The 8-bit value of each 16-bit value."""
    levels = np.minimum(np.arange(2**16), white_level)
    return np.round(levels / (white_level / 255)).astype(np.uint8)


def to_8_bits(image: Image.Image, white_level: int, notes: dict[str, int]) -> Image.Image:
    """Scales 16 bits to 8, where Pillow would clip at 255."""
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        highest = int(levels.max())
        if image.mode != "I" or (levels.min() >= 0 and highest < 2**16):
            notes |= {"sixteen_bit": 1, "highest_level": highest}
            return Image.fromarray(table_of_levels(white_level)[levels])
    if image.mode in ("I", "F"):
        raise RefusedImageError(
            f"expected 8 or 16 bits a channel. Received: Pillow mode {image.mode}"
        )
    return image


def crop_square(image: Image.Image, crop_at: str) -> Image.Image:
    """The largest square, at an end of the longer side if `crop_at` is one."""
    side = min(image.size)
    right, bottom = image.width - side, image.height - side
    left = {"left": 0, "right": right}.get(crop_at, right // 2)
    top = {"top": 0, "bottom": bottom}.get(crop_at, bottom // 2)
    return image.crop((left, top, left + side, top + side))


def without_alpha(image: Image.Image, background: str, notes: dict[str, int]) -> Image.Image:
    """Lays a transparent image over a color."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    if np.asarray(image.getchannel("A")).min() < 255:
        notes["transparent"] = 1
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image)


def resize_image(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Resizes an image to a square, with padding if `fit` is pad."""
    size, longest = preprocessing.size, max(image.size)
    if preprocessing.fit != "pad":
        return image.resize((size, size), Image.Resampling.BICUBIC)
    width, height = (max(1, round(each * size / longest)) for each in image.size)
    square = Image.new(image.mode, (size, size), preprocessing.background)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    square.paste(image, ((size - width) // 2, (size - height) // 2))
    return square
