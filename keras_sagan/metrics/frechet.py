"""Frechet distance between two sets of vectors, each taken for a normal distribution."""

import numpy as np


def frechet_distance(first, second):
    """Dowson and Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X.

    The trace of the square root of the product of the covariances A A' and B B' is the sum of the
    singular values of A' B (nuclear norm), which needs no square root of a matrix and no product
    of covariances, and is exact also for fewer vectors than dimensions.

    Args:
        first: `[n, dim]`, n at least 2. Computed in float64.
        second: `[m, dim]`, m at least 2.

    Returns:
        float, at least 0, in squared units of the vectors.

    Raises:
        ValueError: if there are fewer than two vectors or their lengths differ.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if min(len(first), len(second)) < 2 or first.shape[1:] != second.shape[1:]:
        raise ValueError(
            "expected two sets of at least two vectors of one length. "
            f"Received: shapes {first.shape} and {second.shape}"
        )
    means = [vectors.mean(axis=0) for vectors in (first, second)]
    # Factors of the unbiased covariances: covariance = factor.T @ factor.
    factors = [
        (vectors - mean) / np.sqrt(len(vectors) - 1)
        for vectors, mean in zip((first, second), means, strict=True)
    ]
    traces = sum(np.sum(factor**2) for factor in factors)
    cross = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
    return float(max(np.sum((means[0] - means[1]) ** 2) + traces - 2 * cross, 0.0))


def thumbnails(images, size=8):
    """Gray thumbnails as vectors: `[n, H, W, C]` uint8 to `[n, size * size]` in [0, 1].

    Means over squares and channels; H and W are multiples of `size`.
    """
    count, height, width, channels = images.shape
    shape = (count, size, height // size, size, width // size, channels)
    squares = images.reshape(shape).astype(np.float64) / 255
    return squares.mean(axis=(2, 4, 5)).reshape(count, size * size)
