"""Frechet distance between two sets of vectors, each taken for a normal distribution.

Dowson and Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X; for generated images, with
unbiased covariances, Heusel et al. 2017, https://arxiv.org/abs/1706.08500:
|mean1 - mean2|^2 + trace(cov1) + trace(cov2) - 2 trace((cov1 cov2)^(1/2)).

`scipy.linalg.sqrtm` is not used: it is slow, and with fewer vectors than dimensions wrong in the
fourth digit.
"""

import numpy as np

from keras_sagan.errors import RunError, UsageError
from keras_sagan.metrics.features import check_pair
from keras_sagan.metrics.moments import cut_off


def frechet_distance(first, second):
    """The distance of two sets.

    With cov1 = A A' and cov2 = B B' the trace of the root is the sum of the singular values of
    A' B (nuclear norm). This needs no covariance, of which eigenvalues below some 1e-14 of the
    largest are lost, and their roots, 1e-7, with them.

    Args:
        first: `[n, d]`, n at least 2. Computed in float64.
        second: `[m, d]`, m at least 2.

    Returns:
        float, at least 0, in squared units of the vectors.

    Raises:
        UsageError: if there are fewer than two vectors, their lengths differ, or they are not
            finite.
    """
    check_pair(first, second)
    means, factors = [], []
    for vectors in (first, second):
        vectors = np.asarray(vectors, np.float64)
        means.append(vectors.mean(axis=0))
        factor = (vectors - means[-1]) / np.sqrt(len(vectors) - 1)
        # Rotating the vectors among each other changes no singular value: d of them suffice.
        factors.append(factor if len(factor) <= factor.shape[1] else np.linalg.qr(factor, mode="r"))
    traces = sum(np.sum(factor**2) for factor in factors)
    cross = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
    return assemble(means[0] - means[1], traces, cross)


def statistics_distance(first, second):
    """The distance of two `Statistics`, to some 1e-7 of their largest eigenvalues.

    The first's `root` is computed once and kept. With cov1 = A A', trace((cov1 cov2)^(1/2)) is the
    trace of the symmetric (A' cov2 A)^(1/2).
    """
    if first.mean.shape != second.mean.shape:
        raise UsageError(
            "expected two statistics of one width. "
            f"Received: {len(first.mean)} and {len(second.mean)}"
        )
    product = first.root.T @ second.covariance @ first.root
    cross = 0.0
    if len(product):
        try:
            values = np.linalg.eigvalsh((product + product.T) / 2)
        except np.linalg.LinAlgError as error:
            raise RunError(f"features are too large for a Frechet distance: {error}") from error
        keep = values > max(values[-1], 0.0) * cut_off(len(first.mean))
        cross = np.sqrt(values[keep]).sum()
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    return assemble(first.mean - second.mean, traces, cross)


def assemble(difference, traces, cross):
    distance = difference @ difference + traces - 2 * cross
    # Rounding may bring the distance of equal sets below zero, but not far.
    if not distance >= -1e-6 * traces:
        raise RunError(f"expected a distance of at least 0. Received: {distance}, {traces=}")
    return float(max(distance, 0.0))


def class_distances(real, real_labels, fake, fake_labels):
    """Frechet distances within classes; their mean is the intra-FID.

    Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637, section 4. One class is in memory at
    a time, so the features may be memory-mapped. With fewer vectors than dimensions the distance
    has a large bias: compare at equal numbers of images a class only.

    Args:
        real: `[n, d]`.
        real_labels: int `[n]`.
        fake: `[m, d]`.
        fake_labels: int `[m]`.

    Returns:
        dict: class to distance, or to None where a class of the real images has fewer than two
        vectors in one of the sets.
    """
    check_pair(real, fake)
    distances = {}
    for label in np.unique(real_labels):
        parts = [
            features[np.flatnonzero(labels == label)]
            for features, labels in ((real, real_labels), (fake, fake_labels))
        ]
        enough = min(map(len, parts)) >= 2
        distances[int(label)] = frechet_distance(*parts) if enough else None
    return distances


def thumbnails(images, size=8):
    """Gray thumbnails as vectors: `[n, H, W, C]` uint8 to `[n, size * size]` in [0, 1].

    Means over squares and channels; H and W are multiples of `size`.
    """
    count, height, width, channels = images.shape
    shape = (count, size, height // size, size, width // size, channels)
    squares = images.reshape(shape).astype(np.float64) / 255
    return squares.mean(axis=(2, 4, 5)).reshape(count, size * size)
