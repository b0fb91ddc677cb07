"""A page to play with what a generator makes, beside the real images nearest to it."""

import dataclasses
import html
import io
import string

import numpy as np
from PIL import Image

from keras_sagan.pages.html import data_url, make_page, source

# Images of at most so many pixels are kept exactly, as PNG; larger ones as WebP of this quality,
# and at this size at most, so that a page of some thousand images stays fit to be sent.
EXACT, QUALITY, LARGEST = 32, 75, 128
QUANTILES = {
    "5&nbsp;%": 0.05,
    "25&nbsp;%": 0.25,
    "median": 0.5,
    "75&nbsp;%": 0.75,
    "95&nbsp;%": 0.95,
}


@dataclasses.dataclass(frozen=True)
class Samples:
    """What the page shows: C classes, T truncations, S seeds, F frames from one seed to another.

    Attributes:
        run: str, name of the run.
        about: str, of which step and data the samples are.
        classes: C names; of a generator without classes, C is 1 and this is empty.
        truncations: T floats, ascending.
        seeds: S ints.
        ends: the two seeds between which the frames lie.
        images: uint8 `[C, T, S, H, W, channels]`.
        frames: uint8 `[C, T, F, H, W, channels]`.
        real: uint8 `[N, H, W, channels]`, of which the page gets those that are neighbors.
        real_names: class of each real image, a list of N names; None if they have none.
        neighbors: dict of `pixels` and, if known, `features`, to an object with `index` and
            `mirrored`, arrays `[C * T * S, k]`, and with the distances under both names.
        reference: dict of the same names to distances of some real images to their nearest other
            real one, ascending.
        features: str, what the features are of; or, without them, why there are none.
    """

    run: str
    about: str
    classes: list
    truncations: tuple
    seeds: list
    ends: tuple
    images: np.ndarray
    frames: np.ndarray
    real: np.ndarray
    real_names: list | None
    neighbors: dict
    reference: dict
    features: str


def sample_page(samples):
    """The page of `Samples` as HTML text, self-contained."""
    title = f"Samples of {samples.run}"
    kept = np.unique([each.index for each in samples.neighbors.values()])
    size, channels = samples.images.shape[-2:]
    data = {
        "classes": samples.classes,
        "truncations": samples.truncations,
        "seeds": samples.seeds,
        "samples": sample_data(samples, kept),
        "frames": [encoded(image) for image in samples.frames.reshape(-1, size, size, channels)],
        "real": [real_data(samples, i) for i in kept],
        "reference": {name: quantiles(values) for name, values in samples.reference.items()},
    }
    body = string.Template(source("sample_page.html")).substitute(
        title=html.escape(title),
        about=html.escape(samples.about),
        look="exact" if size <= EXACT else "",
        stored=storage(size),
        start=samples.ends[0],
        end=samples.ends[1],
        last_frame=samples.frames.shape[2] - 1,
        last_truncation=len(samples.truncations) - 1,
        bound=f"{samples.truncations[-1]:g}",
        references=len(samples.reference["pixels"]),
        reals=f"{len(samples.real):,}",
        features=html.escape(samples.features),
        tables="\n".join(table(samples, name) for name in samples.neighbors),
    )
    style, script = source("sample_page.css"), source("sample_page.js")
    return make_page(title, body, style, script, {"data": data})


def sample_data(samples, kept):
    """What the script shows of each sample, by class, then truncation, then seed: a list.

    `near` has its neighbors by each distance, as places among `kept`; `farther` the share of real
    images that are farther from their nearest other real image than the sample is from its own.
    """
    images = samples.images.reshape(-1, *samples.images.shape[3:])
    return [
        {
            "image": encoded(image),
            "near": {name: near(each, i, kept) for name, each in samples.neighbors.items()},
            "farther": {
                name: float(np.mean(samples.reference[name] > getattr(each, name)[i, 0]))
                for name, each in samples.neighbors.items()
            },
        }
        for i, image in enumerate(images)
    ]


def near(neighbors, i, kept):
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


def real_data(samples, i):
    name = samples.real_names[i] if samples.real_names else None
    return {"image": encoded(samples.real[i]), "name": name, "index": int(i)}


def encoded(image):
    """An image, uint8 `[H, W, channels]`, as the address of a picture."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    file = io.BytesIO()
    if len(image) <= EXACT:
        picture.save(file, "PNG")
        return data_url(file.getvalue())
    picture.thumbnail((LARGEST, LARGEST))
    picture.save(file, "WEBP", quality=QUALITY)
    return data_url(file.getvalue(), "image/webp")


def storage(size):
    """What became of images of `size` pixels on their way into the page."""
    if size <= EXACT:
        return "Images are shown pixel by pixel as they are."
    smaller = f", reduced from {size} to {LARGEST} pixels" if size > LARGEST else ""
    return (
        f"Images are shown as WebP of quality {QUALITY}{smaller}; distances are of the images "
        "before that."
    )


def quantiles(distances):
    return np.quantile(distances, list(QUANTILES.values())).tolist()


def table(samples, name):
    """Quantiles of the distances to the nearest real image: of real ones, and of samples."""
    distances = getattr(samples.neighbors[name], name)[:, 0].reshape(samples.images.shape[:3])
    rows = {"real images": samples.reference[name]}
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
