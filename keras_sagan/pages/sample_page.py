"""An interactive page of a generator's samples and the real images nearest to them."""

import dataclasses
import html
import io
import string
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from keras_sagan.pages.html import data_url, make_page, source

# Images up to the first size are stored exactly, as PNG; larger ones as WebP of this quality and at
# most this size, so that a page of a few thousand images remains small enough to send.
EXACT, QUALITY, LARGEST = 32, 75, 128
QUANTILES = {"5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95}


@dataclasses.dataclass(frozen=True)
class Selection:
    """What is drawn of a generator."""

    labels: list[int]  # Classes; one label, which is ignored, for a generator without classes.
    seeds: list[int]  # Of latents.
    ends: list[int]  # Two seeds between which to interpolate.


@dataclasses.dataclass(frozen=True)
class Samples:
    """What the page shows: C classes, T truncations, S seeds, F frames from one seed to another."""

    selection: Selection  # The classes, seeds and ends that were drawn.
    classes: list[str]  # C names; for a generator without classes, C is 1 and this is empty.
    truncations: tuple[float, ...]  # T floats, ascending.
    images: np.ndarray  # uint8 `[C, T, S, H, W, channels]`.
    frames: np.ndarray  # uint8 `[C, T, F, H, W, channels]`.
    real: np.ndarray  # uint8 `[N, H, W, channels]`. The page contains those that are neighbors.
    real_names: list[str] | None  # Class of each real image, N names; None without classes.
    # `evaluation.neighbors.Neighbors` of all samples, by "pixels" and, if known, "features".
    neighbors: Mapping[str, Any]
    # By the same names, distances of some real images to the nearest other real image, ascending.
    references: dict[str, np.ndarray]


def sample_page(samples: Samples, title: str, about: str, features: str) -> str:
    """A self-contained HTML page of samples.

    All texts are plain: `about` tells step and data of the samples, `features` what features are
    made by; without them, why there are none.
    """
    kept = np.unique([each.index for each in samples.neighbors.values()])
    size, channels = samples.images.shape[-2:]
    frames = samples.frames.reshape(-1, size, size, channels)
    data = {
        "classes": samples.classes,
        "truncations": samples.truncations,
        "seeds": samples.selection.seeds,
        "samples": sample_data(samples, kept),
        "frames": [encode_image(image) for image in frames],
        "real": [real_data(samples, i) for i in kept],
        "reference": {name: quantiles(values) for name, values in samples.references.items()},
    }
    body = string.Template(source("sample_page.html")).substitute(
        title=html.escape(title),
        about=html.escape(about),
        look="exact" if size <= EXACT else "",
        stored=describe_storage(size),
        start=samples.selection.ends[0],
        end=samples.selection.ends[1],
        last_frame=samples.frames.shape[2] - 1,
        last_truncation=len(samples.truncations) - 1,
        bound=f"{samples.truncations[-1]:g}",
        references=len(samples.references["pixels"]),
        reals=f"{len(samples.real):,}",
        features=html.escape(features),
        tables="\n".join(quantile_table(samples, name) for name in samples.neighbors),
    )
    style, script = source("sample_page.css"), source("sample_page.js")
    return make_page(title, body, style, script, {"data": data})


def sample_data(samples: Samples, kept: np.ndarray) -> list[dict]:
    """What the script shows of each sample, ordered by class, then truncation, then seed.

    `near` lists its neighbors by each distance, as positions in `kept`. `farther` is the share of
    real images that are farther from their nearest neighbor than the sample is.
    """
    rows = []
    for i, image in enumerate(samples.images.reshape(-1, *samples.images.shape[3:])):
        near, farther = {}, {}
        for name, each in samples.neighbors.items():
            near[name] = neighbor_data(each, i, kept)
            farther[name] = float(np.mean(samples.references[name] > getattr(each, name)[i, 0]))
        rows.append({"image": encode_image(image), "near": near, "farther": farther})
    return rows


def neighbor_data(neighbors: Any, i: int, kept: np.ndarray) -> list[dict]:
    """The neighbors of image `i`."""
    return [
        {
            "real": int(np.searchsorted(kept, place)),
            "mirrored": bool(neighbors.mirrored[i, j]),
            "pixels": float(neighbors.pixels[i, j]),
            "features": None if neighbors.features is None else float(neighbors.features[i, j]),
        }
        for j, place in enumerate(neighbors.index[i])
    ]


def real_data(samples: Samples, i: int) -> dict:
    name = samples.real_names[i] if samples.real_names else None
    return {"image": encode_image(samples.real[i]), "name": name, "index": int(i)}


def encode_image(image: np.ndarray) -> str:
    """An image, uint8 `[H, W, channels]`, as a data URL."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    file = io.BytesIO()
    if len(image) <= EXACT:
        picture.save(file, "PNG")
        return data_url(file.getvalue())
    picture.thumbnail((LARGEST, LARGEST))
    picture.save(file, "WEBP", quality=QUALITY)
    return data_url(file.getvalue(), "image/webp")


def describe_storage(size: int) -> str:
    """How the page stores images of `size` pixels."""
    if size <= EXACT:
        return "Images are shown exactly, pixel by pixel."
    smaller = f", reduced from {size} to {LARGEST} pixels" if size > LARGEST else ""
    return (
        f"Images are shown as WebP of quality {QUALITY}{smaller}. Distances are computed from the "
        "original images."
    )


def quantiles(distances: np.ndarray) -> list[float]:
    return np.quantile(distances, list(QUANTILES.values())).tolist()


def quantile_table(samples: Samples, name: str) -> str:
    """Quantiles of the distances of real images, and of samples, to the nearest real image."""
    distances = getattr(samples.neighbors[name], name)[:, 0].reshape(samples.images.shape[:3])
    rows = {"real images": samples.references[name]}
    for i, truncation in enumerate(samples.truncations):
        rows[f"samples, truncation {truncation:g}"] = distances[:, i].ravel()
    lines = [
        f'<tr><th scope="row" class="text">{row}</th>'
        + "".join(f'<td class="number">{value:.3g}</td>' for value in quantiles(values))
        + "</tr>"
        for row, values in rows.items()
    ]
    header = "".join(f'<th scope="col" class="number">{each}</th>' for each in QUANTILES)
    caption = f"Nearest real image, by {name}{' (levels)' if name == 'pixels' else ''}"
    return (
        f'<figure class="scroll" tabindex="0" role="region" aria-label="{caption}"><table>\n'
        f"<caption>{caption}</caption>\n"
        f'<thead><tr><th scope="col" class="text">images</th>{header}</tr></thead>\n'
        f"<tbody>\n{chr(10).join(lines)}\n</tbody></table></figure>"
    )
