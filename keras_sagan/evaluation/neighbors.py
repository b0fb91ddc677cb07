"""Real images nearest to generated ones, which show whether a generator memorizes."""

import dataclasses
from collections.abc import Callable

import numpy as np

from keras_sagan.metrics.features import shuffled
from keras_sagan.metrics.nearest import nearest, squared_distances
from keras_sagan.progress import Progress

# Real images whose own nearest neighbor is found, as a scale for the distances of generated ones.
REFERENCES = 500
# Largest number of values, of images or of distances, held at once.
ENTRIES = 1 << 23


@dataclasses.dataclass(frozen=True)
class Neighbors:
    """The k nearest real images of each of n images, nearest first."""

    index: np.ndarray  # int `[n, k]`, positions in the real set.
    mirrored: np.ndarray  # bool `[n, k]`, whether the mirror image is the nearer one.
    pixels: np.ndarray  # float64 `[n, k]`, root mean square differences of levels, from 0 to 255.
    # float64 `[n, k]`, Euclidean distances of features; None without an extractor.
    features: np.ndarray | None

    def __getitem__(self, images: slice) -> "Neighbors":
        features = None if self.features is None else self.features[images]
        return Neighbors(self.index[images], self.mirrored[images], self.pixels[images], features)


@dataclasses.dataclass(frozen=True)
class NeighborSearch:
    """An exact search: it compares every image with every real one.

    It reads the real images once, in blocks. Besides the images and their features it holds a few
    hundred MiB, however many real images there are.
    """

    real: np.ndarray  # uint8 `[N, H, W, C]`, may be memory-mapped.
    # Function of uint8 images to features `[n, d]`; None searches by pixels only.
    features_of: Callable[[np.ndarray], np.ndarray] | None
    k: int  # Neighbors of each image.
    # Whether a mirror image counts as the image itself, as for a generator trained with random
    # flips. The distance is then to the nearer of the two.
    mirror: bool

    def find_neighbors(
        self, images: np.ndarray, own: np.ndarray | None = None
    ) -> dict[str, Neighbors]:
        """Finds the nearest real images by each distance.

        Args:
            images: uint8 `[n, H, W, C]`.
            own: int `[n]`, position in `real` from which an image was taken, which is not its
                neighbor; -1 for an image from elsewhere. None: all are from elsewhere.

        Returns:
            `Neighbors` by "pixels" and, with an extractor, by "features".
        """
        spaces: dict[str, Callable] = {"pixels": lambda levels: levels.reshape(len(levels), -1)}
        if self.features_of:
            spaces["features"] = self.features_of
        queries = {name: space(images) for name, space in spaces.items()}
        own = np.full(len(images), -1) if own is None else own
        found = {name: {} for name in spaces}
        rows = max(1, ENTRIES // max(queries["pixels"].shape))
        with Progress("comparing with real image", len(self.real), "images") as progress:
            for start in range(0, len(self.real), rows):
                block = self.real[start : start + rows]
                candidates = compare_block(queries, block, spaces, self.mirror)
                places = np.arange(start, start + len(block))
                index = np.broadcast_to(places, (len(images), len(block)))
                for name in spaces:
                    candidates[name][index == own[:, None]] = np.inf
                candidates["index"] = index
                for name in spaces:
                    of_block = nearest(candidates, name, self.k)
                    found[name] = merge_candidates(found[name], of_block, name, self.k)
                progress.update(len(block))
        # Per value, a pixel distance is a difference of levels.
        scale = np.sqrt(queries["pixels"].shape[1])
        return {name: as_neighbors(columns, name, scale) for name, columns in found.items()}

    def find_with_references(
        self, samples: np.ndarray
    ) -> tuple[dict[str, Neighbors], dict[str, np.ndarray]]:
        """Finds the neighbors of samples, and how near real images are to each other.

        Returns:
            `find_neighbors` of the samples, uint8 `[n, H, W, C]`; and, by the same names, the
            distances of at most `REFERENCES` real images to the nearest other one, ascending.
        """
        places = np.sort(shuffled(np.arange(len(self.real)), REFERENCES))
        own = np.concatenate([np.full(len(samples), -1), places])
        found = self.find_neighbors(np.concatenate([samples, self.real[places]]), own)
        split = len(samples)
        of_reals = {name: getattr(each, name)[split:, 0] for name, each in found.items()}
        references = {name: np.sort(distances) for name, distances in of_reals.items()}
        return {name: each[:split] for name, each in found.items()}, references


def compare_block(queries, block, spaces, mirror: bool) -> dict[str, np.ndarray]:
    """Squared distances `[n, rows]` in each space, and whether the mirror image is nearer.

    The latter is under the name of the space with the prefix `mirrored_`.
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


def merge_candidates(first: dict, second: dict, by: str, k: int) -> dict[str, np.ndarray]:
    """The k nearest of two sets of candidates; `first` may be empty."""
    if not first:
        return second
    both = {name: np.concatenate([first[name], second[name]], axis=1) for name in first}
    return nearest(both, by, k)


def as_neighbors(columns: dict[str, np.ndarray], by: str, scale: float) -> Neighbors:
    return Neighbors(
        index=columns["index"],
        mirrored=columns[f"mirrored_{by}"],
        pixels=np.sqrt(columns["pixels"]) / scale,
        features=np.sqrt(columns["features"]) if "features" in columns else None,
    )
