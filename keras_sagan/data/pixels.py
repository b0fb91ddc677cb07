"""From an encoded image of any kind to the pixels that a network sees."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

# What may be opened. Others that Pillow knows are refused: EPS, for one, starts a program.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# What `pixels` does, for the record of a prepared set.
PREPROCESSING = (
    "first frame; turned as EXIF says; transparency over white; 16 bits to 8; largest central "
    "square; resized by Pillow's bicubic filter, antialiased"
)


def extensions():
    """Endings of the names of files that are taken for images: lower case, with a dot."""
    known = Image.registered_extensions()
    return frozenset(ending for ending, kind in known.items() if kind in FORMATS)


def pixels(payload, size, channels):
    """The largest central square of an image, at `size` pixels.

    Args:
        payload: path of an encoded file, its bytes, or uint8 `[h, w, 1 or 3]`.
        size: int, height and width of the result.
        channels: 1 for gray or 3 for RGB.

    Returns:
        uint8 `[size, size, channels]`.

    Raises:
        Exception: of many kinds, if the image is broken, or has over 89 million pixels
            (`Image.MAX_IMAGE_PIXELS`): Pillow's readers have no common one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of oddities in a file's metadata.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = to_8_bits(opened(payload))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    image = without_alpha(image).convert("L" if channels == 1 else "RGB")
    if side != size:
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(size, size, channels)


def opened(payload):
    if isinstance(payload, np.ndarray):
        return Image.fromarray(payload[..., 0] if payload.shape[-1] == 1 else payload)
    file = io.BytesIO(payload) if isinstance(payload, bytes) else payload
    with Image.open(file, formats=FORMATS) as image:
        return ImageOps.exif_transpose(image)


def to_8_bits(image):
    """Pillow would cut off numbers above 255 of its modes of more bits."""
    small = image.mode == "I" and 0 <= image.getextrema()[0] <= image.getextrema()[1] < 2**16
    if image.mode.startswith("I;16") or small:
        return Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"expected 8 or 16 bits a channel. Received: mode {image.mode}")
    return image


def without_alpha(image):
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
