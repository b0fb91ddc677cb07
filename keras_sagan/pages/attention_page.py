"""The page of attention maps: arrays in, one HTML file out.

Source of what it shows: Zhang et al. 2019, https://arxiv.org/abs/1805.08318, figures 1 and 5.
"""

import base64
import dataclasses
import html
import io
import string
import zlib

import numpy as np
from PIL import Image

from keras_sagan.pages.html import data_url, make_page, source
from keras_sagan.visual.curves import svg_curves

# A page holds the maps of at most so many positions in each direction: of larger layers every
# second, fourth, ... one.
POSITIONS = 32


@dataclasses.dataclass(frozen=True)
class View:
    """What one layer does with one group of images.

    Attributes:
        name: str, as a person reads it.
        group: str, key of the images in `Exhibit.images`.
        gammas: list of float, the layer's gamma at each step.
        maps: list of `Packed`, one for each step.
    """

    name: str
    group: str
    gammas: list
    maps: list


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """All that a page shows.

    Attributes:
        title: str.
        facts: list of str, a sentence each: how the page came about.
        steps: list of int, ascending.
        images: dict: group to a list of uint8 `[n, H, W, C]`, one for each step, or one for all.
        captions: dict: group to a list of n str.
        views: list of `View`.
        curves: dict: name of a layer to a list of (step, gamma), over all of training.
    """

    title: str
    facts: list
    steps: list
    images: dict
    captions: dict
    views: list
    curves: dict


@dataclasses.dataclass(frozen=True)
class Packed:
    """Maps as a page keeps them.

    Attributes:
        shape: (H, W, h, w) of the layer.
        stride: int; positions stride // 2, stride // 2 + stride, ... of each direction are kept.
        texts: list of str, one for each image: `pack_image`.
        error: float, the largest difference that rounding made.
    """

    shape: tuple
    stride: int
    texts: list
    error: float


def pack(maps):
    """`[n, H, W, h, w]` of `attention_maps` as `Packed`."""
    _, *shape = maps.shape
    stride = stride_of(*shape[:2])
    maps = maps[:, stride // 2 :: stride, stride // 2 :: stride]
    rows = maps.reshape(len(maps), -1, shape[2] * shape[3])
    peaks = rows.max(axis=-1, keepdims=True)
    levels = np.round(rows / peaks * 255).astype(np.uint8)
    error = float(np.abs(levels * (peaks / 255) - rows).max())
    texts = [pack_image(*each) for each in zip(peaks, levels, strict=True)]
    return Packed(tuple(shape), stride, texts, error)


def stride_of(height, width):
    return -(-max(height, width) // POSITIONS)


def pack_image(peaks, levels):
    """Base64 of zlib of: the peak of each map, float32, little-endian; then all levels, uint8."""
    values = peaks.astype("<f4").tobytes() + levels.tobytes()
    return base64.b64encode(zlib.compress(values)).decode()


def image_bytes(size):
    """Upper bound of the characters of one image's maps, of a layer at size x size positions."""
    queries = len(range(stride_of(size, size) // 2, size, stride_of(size, size))) ** 2
    return queries * ((size // 2) ** 2 + 4) * 4 / 3 * 1.001 + 64


def attention_page(exhibit):
    """The page of an `Exhibit`, as HTML."""
    views = [view_record(i, view) for i, view in enumerate(exhibit.views)]
    record = {
        "steps": exhibit.steps,
        "views": views,
        "images": {
            group: [[png(image) for image in images] for images in of_steps]
            for group, of_steps in exhibit.images.items()
        },
        "captions": exhibit.captions,
    }
    data = {"exhibit": record}
    for i, view in enumerate(exhibit.views):
        for j, packed in enumerate(view.maps):
            data[f"maps-{i}-{j}"] = packed.texts
    body = string.Template(source("attention_page.html")).substitute(
        title=html.escape(exhibit.title),
        gammas=svg_curves(exhibit.curves, "gamma", exhibit.steps),
        facts="".join(f"<li>{html.escape(fact)}</li>" for fact in [*exhibit.facts, *notes(views)]),
    )
    style, script = source("attention_page.css"), source("attention_page.js")
    return make_page(exhibit.title, body, style, script, data)


def view_record(index, view):
    """What the page's script knows of a view; maps stand apart, to be read when looked at."""
    first = view.maps[0]
    height, width, rows, columns = first.shape
    return {
        "id": index,
        "name": view.name,
        "group": view.group,
        "height": height,
        "width": width,
        "rows": rows,
        "columns": columns,
        "stride": first.stride,
        "gammas": view.gammas,
        "error": max(packed.error for packed in view.maps),
    }


def notes(views):
    """What the page leaves out, in sentences."""
    error = max(view["error"] for view in views)
    texts = [
        "Each map is kept as 256 levels from 0 to its own peak, so a share is off by at most 0.2 % "
        f"of the peak; the largest difference in this page is {error * 100:.2g} % of the attention."
    ]
    strides = sorted({view["stride"] for view in views} - {1})
    for stride in strides:
        names = ", ".join(view["name"] for view in views if view["stride"] == stride)
        texts.append(f"Of {names}: one of {stride} x {stride} positions has its map here.")
    return texts


def png(image):
    """uint8 `[H, W, C]` as an address of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return data_url(file.getvalue())
