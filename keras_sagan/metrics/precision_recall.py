"""Which fakes look real, and which real images could have been generated."""

import numpy as np

from keras_sagan.metrics.features import check_pair
from keras_sagan.metrics.nearest import squared_distances

# The paper's neighbor.
K = 3


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = K) -> tuple[float, float]:
    """Improved precision and recall, Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991.

    The manifold of a set is a union of closed balls around its vectors. Each ball reaches to the
    k-th nearest other vector of the set.

    Args:
        real: `[n, d]`, n larger than k. Computed in float64. Both values depend on n and m.
        fake: `[m, d]`, m larger than k.
        k: which neighbor.

    Returns:
        The share of fakes in the manifold of the real vectors, and vice versa.

    Raises:
        UsageError: if the sets cannot be compared or one has no more than `k` vectors.
    """
    check_pair(real, fake, at_least=k + 1)
    # Near zero the products lose fewer digits. An integer shift keeps equal distances of integers
    # equal.
    center = np.rint(np.mean(real, axis=0, dtype=np.float64))
    real, fake = (np.asarray(part, np.float64) - center for part in (real, fake))
    return covered_share(fake, real, k), covered_share(real, fake, k)


def covered_share(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
    """The share of `points` within a ball of `manifold`."""
    # The nearest vector is the vector itself, so index k is the k-th neighbor.
    radii = np.concatenate(
        [np.partition(rows, k, axis=1)[:, k] for rows in squared_distances(manifold, manifold)]
    )
    inside = [(rows <= radii).any(axis=1) for rows in squared_distances(points, manifold)]
    return float(np.mean(np.concatenate(inside)))
