"""The page of attention maps: arrays in, one HTML file out.

Source of the idea: Zhang et al. 2019, https://arxiv.org/abs/1805.08318, figures 1 and 5.
"""

import base64
import dataclasses
import html
import io
import string
import zlib
from typing import Any

import numpy as np
from PIL import Image

from keras_sagan.pages.html import data_url, make_page, source
from keras_sagan.visual.curves import svg_curves

# Largest number of positions in each direction whose maps a page stores. Of larger layers it stores
# every second, fourth, ... position.
POSITIONS = 32


@dataclasses.dataclass(frozen=True)
class View:
    """What one layer does with one group of images."""

    name: str  # Shown to the reader.
    group: str  # Key of the images in `Exhibit.images`.
    gammas: list[float]  # The layer's gamma at each step.
    maps: list["Packed"]  # One for each step.


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """Everything that a page shows."""

    steps: list[int]  # Ascending.
    # By group, uint8 `[n, H, W, C]` for each step, or one for all steps.
    images: dict[str, list[np.ndarray]]
    captions: dict[str, list[str]]  # By group, one for each image.
    views: list[View]
    # By name of a layer, (step, gamma) over the whole training.
    curves: dict[str, list[tuple[int, float]]]


@dataclasses.dataclass(frozen=True)
class Packed:
    """Maps as a page stores them."""

    shape: tuple[int, ...]  # (H, W, h, w) of the layer.
    stride: int  # Positions stride // 2, stride // 2 + stride, ... of each direction are stored.
    texts: list[str]  # `pack_image` of each image.
    error: float  # Largest rounding error.


def pack_maps(maps: np.ndarray) -> Packed:
    """Packs `[n, H, W, h, w]` of `attention_maps`."""
    _, *shape = maps.shape
    stride = stride_of(*shape[:2])
    maps = maps[:, stride // 2 :: stride, stride // 2 :: stride]
    rows = maps.reshape(len(maps), -1, shape[2] * shape[3])
    peaks = rows.max(axis=-1, keepdims=True)
    levels = np.round(rows / peaks * 255).astype(np.uint8)
    error = float(np.abs(levels * (peaks / 255) - rows).max())
    texts = [pack_image(*each) for each in zip(peaks, levels, strict=True)]
    return Packed(tuple(shape), stride, texts, error)


def stride_of(height: int, width: int) -> int:
    return -(-max(height, width) // POSITIONS)


def pack_image(peaks: np.ndarray, levels: np.ndarray) -> str:
    """Base64 of zlib of the peak of each map, little-endian float32, and all levels, uint8."""
    values = peaks.astype("<f4").tobytes() + levels.tobytes()
    return base64.b64encode(zlib.compress(values)).decode()


def image_bytes(size: int) -> float:
    """Upper bound of the characters of one image's maps in a layer of size x size positions."""
    queries = len(range(stride_of(size, size) // 2, size, stride_of(size, size))) ** 2
    return queries * ((size // 2) ** 2 + 4) * 4 / 3 * 1.001 + 64


def attention_page(exhibit: Exhibit, title: str, facts: list[str]) -> str:
    """A self-contained HTML page of an exhibit.

    `title` is plain text; `facts` tell how the page was made, a sentence or two each.
    """
    views = [view_record(i, view) for i, view in enumerate(exhibit.views)]
    images = {
        group: [[encode_png(image) for image in images] for images in of_steps]
        for group, of_steps in exhibit.images.items()
    }
    record = {"steps": exhibit.steps, "views": views, "images": images}
    data: dict[str, Any] = {"exhibit": record | {"captions": exhibit.captions}}
    for i, view in enumerate(exhibit.views):
        for j, packed in enumerate(view.maps):
            data[f"maps-{i}-{j}"] = packed.texts
    body = string.Template(source("attention_page.html")).substitute(
        title=html.escape(title),
        gammas=svg_curves(exhibit.curves, "gamma", exhibit.steps),
        facts="".join(f"<li>{html.escape(fact)}</li>" for fact in [*facts, *storage_notes(views)]),
    )
    style, script = source("attention_page.css"), source("attention_page.js")
    return make_page(title, body, style, script, data)


def view_record(index: int, view: View) -> dict:
    """What the script knows about a view. The maps are separate, to be decoded when needed."""
    first = view.maps[0]
    height, width, rows, columns = first.shape
    record = {"id": index, "name": view.name, "group": view.group, "height": height, "width": width}
    record |= {"rows": rows, "columns": columns, "stride": first.stride, "gammas": view.gammas}
    return record | {"error": max(packed.error for packed in view.maps)}


def storage_notes(views: list[dict]) -> list[str]:
    """What the page leaves out, in sentences."""
    error = max(view["error"] for view in views)
    texts = [
        "Each map is stored as 256 levels from 0 to its own peak, so a share is off by at most "
        f"0.2% of the peak. The largest error on this page is {error * 100:.2g}% of the attention."
    ]
    for stride in sorted({view["stride"] for view in views} - {1}):
        names = ", ".join(view["name"] for view in views if view["stride"] == stride)
        texts.append(f"{names}: this page has the map of one in {stride} x {stride} positions.")
    return texts


def encode_png(image: np.ndarray) -> str:
    """An image, uint8 `[H, W, C]`, as the data URL of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return data_url(file.getvalue())
