"""How image files become pixels: the options, and everything that determines the pixels."""

import dataclasses
from typing import Any

from PIL import ImageColor

from keras_sagan.errors import UsageError
from keras_sagan.rules import POSITIVE, Rule, one_of, option

LEVEL = Rule("from 1 to 65535", lambda value: 1 <= value <= 65535)


@dataclasses.dataclass(frozen=True)
class PreprocessingOptions:
    """How image files become pixels."""

    fit: str = option(
        "crop",
        "How an image becomes square. crop: its largest square, placed by crop_at. pad: the whole "
        "image, centered on a square of the background color. stretch: the whole image, distorted.",
        one_of("crop", "pad", "stretch"),
        before="crop",
    )
    crop_at: str = option(
        "center",
        "Where the square of fit=crop lies. top and bottom are for tall images, left and right for "
        "wide ones; other images are cropped at the center.",
        one_of("center", "top", "bottom", "left", "right"),
        before="center",
    )
    background: str = option(
        "white",
        "Color of transparent parts and of the borders of fit=pad: a name or #rrggbb, as Pillow's "
        "ImageColor reads it.",
        before="white",
    )
    white_level: int = option(
        65535,
        "Value of 16-bit images that becomes white, e.g. 4095 for files with 12-bit values. Larger "
        "values are clipped.",
        LEVEL,
        before=65535,
    )
    max_megapixels: float = option(
        90.0,
        "Largest image that is decoded, in millions of pixels. A JPEG file with up to four times "
        "as many is decoded at half its height and width. Other larger images count as "
        "unreadable.",
        POSITIVE,
        resumable=True,
        before=90.0,
    )


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Everything besides a file that determines an image's pixels.

    Raises:
        UsageError: if the background is not an opaque color, or nothing is cropped at `crop_at`.
    """

    size: int  # Height and width of the result, in pixels.
    channels: int  # 1 for gray or 3 for RGB.
    # See `PreprocessingOptions` for the rest.
    fit: str = PreprocessingOptions.fit
    crop_at: str = PreprocessingOptions.crop_at
    background: str = PreprocessingOptions.background
    white_level: int = PreprocessingOptions.white_level
    max_megapixels: float = PreprocessingOptions.max_megapixels

    def __post_init__(self) -> None:
        if not is_opaque_color(self.background):
            raise UsageError(
                "background must be the name of a color or #rrggbb. "
                f"Received: background={self.background}"
            )
        if self.crop_at != "center" and self.fit != "crop":
            raise UsageError(
                "crop_at must be center unless fit=crop. "
                f"Received: crop_at={self.crop_at}, fit={self.fit}"
            )

    def changes(self) -> dict[str, Any]:
        """The settings besides the shape that are not the defaults.

        Of `max_megapixels`, it depends which images are left out.
        """
        names = ("fit", "crop_at", "background", "white_level", "max_megapixels")
        values = {name: getattr(self, name) for name in names}
        return {name: each for name, each in values.items() if each != getattr(type(self), name)}


def is_opaque_color(text: str) -> bool:
    """Whether Pillow reads `text` as a color without transparency."""
    try:
        color = ImageColor.getrgb(text)
    except ValueError:
        return False
    return len(color) == 3 and max(color) <= 255
