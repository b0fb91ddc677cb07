"""Image file formats: those that are read, and what to do about others."""

import functools
import importlib.util
import re
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

# Formats that may be opened. Pillow's others are refused: EPS, for example, starts a program.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# These files are read if the extra `heif` is installed.
HEIF_ENDINGS = (".heic", ".heif", ".hif")
HEIF_HINT = "install the extra that reads them: pip install 'keras-sagan[heif]'"
RAW_ENDINGS = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2")
# What to do about files that are not read, by ending.
HINTS = {
    **dict.fromkeys(HEIF_ENDINGS, HEIF_HINT),
    **dict.fromkeys(RAW_ENDINGS, "export these camera raw files, e.g. as JPEG"),
    ".jp2": "convert them, e.g. to PNG",
    ".jxl": "convert them, e.g. with djxl",
    ".pdf": "extract their images, e.g. with pdfimages",
    ".psd": "export them, e.g. as PNG",
    ".svg": "render them, e.g. as PNG",
}
# How files of the formats begin. HEIF and AVIF share a container.
SIGNATURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|II\*\0|MM\0\*|II\+\0|MM\0\+|RIFF.{4}WEBP|"
    rb".{4}ftypavi[fs]|BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0|"
    rb"P[1-6]\s(?:#[^\n]*\n|\s)*\d+\s+\d+\s",
    re.DOTALL,
)
HEIF_SIGNATURE = re.compile(rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL)


def has_heif() -> bool:
    """Whether the extra that reads HEIF files is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def image_extensions() -> frozenset[str]:
    """Extensions of the files that count as images: lowercase, with a dot."""
    known = Image.registered_extensions()
    endings = {ending for ending, kind in known.items() if kind in FORMATS}
    return frozenset(endings.union(HEIF_ENDINGS if has_heif() else ()))


def is_image(head: bytes) -> bool:
    """Whether a file has a supported format, judged by `head`, its first 100 bytes or more."""
    return bool(SIGNATURE.match(head) or (HEIF_SIGNATURE.match(head) and has_heif()))


def open_file(file: str | BinaryIO) -> ImageFile.ImageFile:
    """An image file, whose pixels are not decoded yet."""
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        if not has_heif():
            raise
        register_heif()
        return Image.open(file, formats=("HEIF",))


@functools.cache
def register_heif() -> None:
    """Loads the library that reads HEIF files. This takes time, so call it only when needed."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def explain_unknown(head: bytes) -> str:
    """Why a file that begins with `head` is not read."""
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer in place of the image: run git lfs pull"
    if HEIF_SIGNATURE.match(head) and not has_heif():
        return f"a HEIF image: {HEIF_HINT}"
    return "not an image of a known format"
