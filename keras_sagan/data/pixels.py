"""Decodes images of any kind to the pixels that a network sees."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

from keras_sagan.data.source import Payload

# Formats that may be opened. Pillow's others are refused: EPS, for example, starts a program.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# What `decode_image` does, for the record of a prepared set.
PREPROCESSING = (
    "first frame; turned as EXIF says; transparency over white; 16 bits to 8; largest central "
    "square; resized by Pillow's bicubic filter, antialiased"
)


def image_extensions() -> frozenset[str]:
    """Extensions of the files that count as images: lowercase, with a dot."""
    known = Image.registered_extensions()
    return frozenset(ending for ending, kind in known.items() if kind in FORMATS)


def decode_image(payload: Payload, size: int, channels: int) -> np.ndarray:
    """Crops an image to its largest central square and resizes that.

    Args:
        payload: path of an encoded file, its bytes, or uint8 `[h, w, 1 or 3]`.
        size: height and width of the result, in pixels.
        channels: 1 for gray or 3 for RGB.

    Returns:
        uint8 `[size, size, channels]`.

    Raises:
        Exception: of many types, if the image is broken or has more than 89 million pixels
            (`Image.MAX_IMAGE_PIXELS`). Pillow's readers share no base class of errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd metadata.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = to_8_bits(open_image(payload))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    image = without_alpha(image).convert("L" if channels == 1 else "RGB")
    if side != size:
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(size, size, channels)


def open_image(payload: Payload) -> Image.Image:
    """The first frame, rotated according to EXIF."""
    if isinstance(payload, np.ndarray):
        return Image.fromarray(payload[..., 0] if payload.shape[-1] == 1 else payload)
    file = io.BytesIO(payload) if isinstance(payload, bytes) else payload
    with Image.open(file, formats=FORMATS) as image:
        return ImageOps.exif_transpose(image)


def to_8_bits(image: Image.Image) -> Image.Image:
    """Scales 16 bits to 8, where Pillow would clip at 255."""
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        if image.mode != "I" or (levels.min() >= 0 and levels.max() < 2**16):
            return Image.fromarray(np.round(levels / 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"expected 8 or 16 bits a channel. Received: mode {image.mode}")
    return image


def without_alpha(image: Image.Image) -> Image.Image:
    """Lays a transparent image over white."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
