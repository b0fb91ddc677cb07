"""Which fakes look real, and which real images could have been generated."""

import numpy as np

from keras_sagan.metrics.features import check_pair
from keras_sagan.metrics.nearest import squared_distances

# The paper's neighbor.
K = 3


def precision_recall(real, fake, k=K):
    """Improved precision and recall, Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991.

    The manifold of a set is the union of balls around its vectors, each reaching to its k-th
    nearest neighbor in the set, itself not counted; the border belongs to the ball.

    Args:
        real: `[n, d]`, n more than k. Computed in float64. Both values depend on n and m.
        fake: `[m, d]`, m more than k.
        k: int, which neighbor.

    Returns:
        Share of fakes in the manifold of the real vectors, and the reverse.

    Raises:
        UsageError: if the sets cannot be compared or one has no more than `k` vectors.
    """
    check_pair(real, fake, at_least=k + 1)
    # Around zero the products below lose fewer digits; by a whole number, so that equal distances
    # of whole numbers stay equal.
    center = np.rint(np.mean(real, axis=0, dtype=np.float64))
    real, fake = (np.asarray(part, np.float64) - center for part in (real, fake))
    return covered(fake, real, k), covered(real, fake, k)


def covered(points, manifold, k):
    """The share of `points` within a ball of `manifold`."""
    # The nearest in the row is the vector itself, so the k-th neighbor stands at place k.
    radii = np.concatenate(
        [np.partition(rows, k, axis=1)[:, k] for rows in squared_distances(manifold, manifold)]
    )
    inside = [(rows <= radii).any(axis=1) for rows in squared_distances(points, manifold)]
    return float(np.mean(np.concatenate(inside)))
