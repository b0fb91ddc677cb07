"""Distances between vectors, in blocks that fit into memory, and the nearest vectors."""

from collections.abc import Iterator

import numpy as np

# Largest number of values, of vectors or of distances, held at once: 128 MiB of float64.
ENTRIES = 1 << 24


def squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
    """Yields squared distances `[rows, len(y)]`, float64, for some rows of `x` at a time.

    They are exact for integers such as pixels.

    Args:
        x: `[n, d]` of any dtype.
        y: `[m, d]`, which must fit into memory in float64.
    """
    y = np.asarray(y, np.float64)
    squares = np.sum(y**2, axis=1)
    rows = max(1, ENTRIES // max(y.shape))
    for i in range(0, len(x), rows):
        part = np.asarray(x[i : i + rows], np.float64)
        yield np.maximum(np.sum(part**2, axis=1)[:, None] - 2 * part @ y.T + squares, 0)


def nearest(candidates: dict[str, np.ndarray], by: str, k: int) -> dict[str, np.ndarray]:
    """The `k` candidates of each row with the smallest distances, nearest first.

    The first of equally near candidates wins. Searching blocks, and then the nearest of all
    blocks, therefore gives the same result as searching everything at once.

    Args:
        candidates: arrays `[n, m]`, properties of the m candidates of each row.
        by: name of the array that is the distance.
        k: candidates to keep.

    Returns:
        Arrays `[n, min(k, m)]` by the same names.
    """
    order = np.argsort(candidates[by], axis=1, kind="stable")[:, :k]
    return {name: np.take_along_axis(values, order, axis=1) for name, values in candidates.items()}
