"""Converts images with an embedded color profile to sRGB, by LittleCMS."""

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")
# By the color space of a profile: the mode that it describes, and modes that are converted to it.
MODES = {
    "CMYK": ("CMYK", {"CMYK"}),
    "GRAY": ("L", {"1", "L", "LA"}),
    "RGB ": ("RGB", {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"}),
}
# A profile that changes no value by more counts as sRGB: profiles round its curve differently.
TOLERANCE = 2


def convert_to_srgb(
    image: Image.Image, profile: bytes | None, notes: dict[str, int]
) -> Image.Image:
    """Converts the colors of an image and keeps its alpha; ignores a broken profile.

    Args:
        image: of 8 bits a channel.
        profile: an ICC profile, if the image has one.
        notes: gets `converted` or `bad_profile`.
    """
    if not profile:
        return image
    try:
        space, transform = find_transform(profile)
    except (ImageCms.PyCMSError, OSError, KeyError):
        space, transform = "", None
    mode, modes = MODES.get(space, ("", ()))
    if image.mode not in modes:
        notes["bad_profile"] = 1
        return image
    if transform is None:
        return image
    notes["converted"] = 1
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    converted = transform.apply(image if image.mode == mode else image.convert(mode))
    if alpha:
        converted.putalpha(alpha)
    return converted


@functools.lru_cache(maxsize=16)
def find_transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The color space of a profile, and its transform to sRGB; None if it is sRGB.

    Raises:
        PyCMSError, OSError, KeyError: if LittleCMS cannot read the profile, or it has none of the
            `MODES`.
    """
    source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))  # Its types are incomplete.
    space = source.profile.xcolor_space
    transform = ImageCms.buildTransform(
        source,
        SRGB,
        MODES[space][0],
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    colors = sample_colors(MODES[space][0])
    before, after = np.asarray(colors.convert("RGB"), int), np.asarray(transform.apply(colors), int)
    return space, transform if np.abs(after - before).max() > TOLERANCE else None


def sample_colors(mode: str) -> Image.Image:
    """A row of pixels that samples the colors of a mode at regular intervals."""
    bands = Image.getmodebands(mode)
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    colors = np.stack(np.meshgrid(*[levels] * bands), axis=-1).reshape(1, -1, bands)
    return Image.fromarray(colors[..., 0] if bands == 1 else colors, mode)
