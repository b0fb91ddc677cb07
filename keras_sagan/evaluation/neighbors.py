"""The real images nearest to generated ones: they show whether a generator memorizes."""

import dataclasses

import numpy as np

from keras_sagan.metrics.features import shuffled
from keras_sagan.metrics.nearest import nearest, squared_distances
from keras_sagan.progress import Progress

# Real images whose nearest other one is sought, as a scale for the distances of generated ones.
REFERENCES = 500
# Numbers of real images, as vectors, or of distances to them that are held at once.
ENTRIES = 1 << 23


@dataclasses.dataclass(frozen=True)
class Neighbors:
    """The k nearest real images of each of n images, nearest first.

    Attributes:
        index: int `[n, k]`, places in the real set.
        mirrored: bool `[n, k]`, whether their mirror image is the near one.
        pixels: float64 `[n, k]`, root mean square differences of levels, of 0 to 255.
        features: float64 `[n, k]`, Euclidean distances of features; None without an extractor.
    """

    index: np.ndarray
    mirrored: np.ndarray
    pixels: np.ndarray
    features: np.ndarray | None

    def __getitem__(self, images):
        """The same of some of the images."""
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return Neighbors(*(value if value is None else value[images] for value in values))


def neighbors(images, real, extract, k, mirror, own=None):
    """The nearest real images by each distance, exactly: every image is compared with every one.

    Real images are read once, in blocks; besides `images` and their features, memory holds some
    hundred MiB whatever the number of real ones.

    Args:
        images: uint8 `[n, H, W, C]`.
        real: uint8 `[N, H, W, C]`, may be memory-mapped.
        extract: function of uint8 images to features `[n, d]`, or None.
        k: int.
        mirror: bool, whether a real image's mirror image counts as that image, as for a generator
            whose training mirrored them. The distance is to the nearer one.
        own: int `[n]`, the place in `real` that an image was taken from, which is no neighbor of
            it; -1 for an image from elsewhere. None: all are.

    Returns:
        dict: `pixels`, and with an extractor `features`, to `Neighbors` by that distance.
    """
    spaces = {"pixels": flattened} | ({"features": extract} if extract else {})
    queries = {name: space(images) for name, space in spaces.items()}
    own = np.full(len(images), -1) if own is None else own
    found = {name: {} for name in spaces}
    rows = max(1, ENTRIES // max(queries["pixels"].shape))
    with Progress("comparing with real image", len(real), "images") as progress:
        for start in range(0, len(real), rows):
            block = real[start : start + rows]
            candidates = compare(queries, block, spaces, mirror)
            index = np.broadcast_to(np.arange(start, start + len(block)), (len(images), len(block)))
            for name in spaces:
                candidates[name][index == own[:, None]] = np.inf
            candidates["index"] = index
            for name in spaces:
                found[name] = merged(found[name], nearest(candidates, name, k), name, k)
            progress.update(len(block))
    # A pixel difference is divided by the number of values, which makes it one of levels.
    scale = np.sqrt(queries["pixels"].shape[1])
    return {name: as_neighbors(columns, name, scale) for name, columns in found.items()}


def flattened(images):
    return images.reshape(len(images), -1)


def compare(queries, block, spaces, mirror):
    """Squared distances `[n, rows]` in each space, and whether the mirror image is the nearer one.

    Under the name of the space, and under `mirrored_` before it.
    """
    columns = {}
    for name, space in spaces.items():
        views = [block, block[:, :, ::-1]] if mirror else [block]
        squares = [
            np.concatenate(list(squared_distances(queries[name], space(view)))) for view in views
        ]
        columns[name] = np.min(squares, axis=0)
        columns[f"mirrored_{name}"] = np.argmin(squares, axis=0).astype(bool)
    return columns


def merged(first, second, by, k):
    """The k nearest of two sets of candidates; `first` may be empty."""
    if not first:
        return second
    both = {name: np.concatenate([first[name], second[name]], axis=1) for name in first}
    return nearest(both, by, k)


def as_neighbors(columns, by, scale):
    return Neighbors(
        index=columns["index"],
        mirrored=columns[f"mirrored_{by}"],
        pixels=np.sqrt(columns["pixels"]) / scale,
        features=np.sqrt(columns["features"]) if "features" in columns else None,
    )


def with_reference(samples, real, extract, k, mirror):
    """The neighbors of samples, and how near real images are to each other.

    Args:
        samples: uint8 `[n, H, W, C]`.
        real: as for `neighbors`.
        extract: as for `neighbors`.
        k: as for `neighbors`.
        mirror: as for `neighbors`.

    Returns:
        dict of each distance's name to `Neighbors` of the samples, and dict of the same names to
        the distances of at most `REFERENCES` real images to their nearest other one, ascending.
    """
    places = np.sort(shuffled(np.arange(len(real)), REFERENCES))
    own = np.concatenate([np.full(len(samples), -1), places])
    found = neighbors(np.concatenate([samples, real[places]]), real, extract, k, mirror, own)
    split = len(samples)
    reference = {name: np.sort(getattr(each[split:], name)[:, 0]) for name, each in found.items()}
    return {name: each[:split] for name, each in found.items()}, reference
