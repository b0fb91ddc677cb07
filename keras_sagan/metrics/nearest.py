"""Distances between vectors, in pieces that fit the memory, and the nearest of them."""

import numpy as np

# Numbers held at once, of vectors or of distances: 128 MiB of float64.
ENTRIES = 1 << 24


def squared_distances(x, y):
    """Squared distances `[rows, len(y)]`, float64, some rows of `x` at a time.

    Of whole numbers, as of pixels, they are exact.

    Args:
        x: `[n, d]` of any dtype.
        y: `[m, d]`, which must fit the memory in float64.
    """
    y = np.asarray(y, np.float64)
    squares = np.sum(y**2, axis=1)
    rows = max(1, ENTRIES // max(y.shape))
    for i in range(0, len(x), rows):
        part = np.asarray(x[i : i + rows], np.float64)
        yield np.maximum(np.sum(part**2, axis=1)[:, None] - 2 * part @ y.T + squares, 0)


def nearest(candidates, by, k):
    """The `k` candidates of each row with the least distances, nearest first.

    Of equally near ones those that come first, so that it does not matter in which pieces the
    candidates of a row come when the nearest of all pieces are put together and sought again.

    Args:
        candidates: dict of arrays `[n, m]`: what is known of the m candidates of each row.
        by: name of the one that is the distance.
        k: int.

    Returns:
        The same of arrays `[n, min(k, m)]`.
    """
    order = np.argsort(candidates[by], axis=1, kind="stable")[:, :k]
    return {name: np.take_along_axis(values, order, axis=1) for name, values in candidates.items()}
