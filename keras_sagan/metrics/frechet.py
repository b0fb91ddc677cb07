"""Frechet distance between two sets of vectors, each treated as a normal distribution.

Source: Dowson and Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X. For generated images,
with unbiased covariances: Heusel et al. 2017, https://arxiv.org/abs/1706.08500:
|mean1 - mean2|^2 + trace(cov1) + trace(cov2) - 2 trace((cov1 cov2)^(1/2)).

`scipy.linalg.sqrtm` is not used: it is slow, and wrong in the fourth digit with fewer vectors than
dimensions.
"""

import numpy as np

from keras_sagan.errors import RunError, UsageError
from keras_sagan.metrics.features import check_pair
from keras_sagan.metrics.moments import Statistics, eigenvalue_cutoff


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The distance between two sets.

    With cov1 = A A' and cov2 = B B', the trace of the root is the sum of the singular values of
    A' B (nuclear norm). This avoids covariances, which lose eigenvalues below about 1e-14 of the
    largest one and thereby roots of up to 1e-7.

    Args:
        first: `[n, d]`, n at least 2. Computed in float64.
        second: `[m, d]`, m at least 2.

    Returns:
        At least 0, in squared units of the vectors.

    Raises:
        UsageError: if vectors are fewer than two, of different lengths, or not finite.
    """
    check_pair(first, second)
    means, factors = [], []
    for vectors in (first, second):
        vectors = np.asarray(vectors, np.float64)
        means.append(vectors.mean(axis=0))
        factor = (vectors - means[-1]) / np.sqrt(len(vectors) - 1)
        # A rotation of the rows changes no singular value, so d rows suffice.
        factors.append(factor if len(factor) <= factor.shape[1] else np.linalg.qr(factor, mode="r"))
    traces = sum(np.sum(factor**2) for factor in factors)
    cross = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
    return assemble_distance(means[0] - means[1], traces, cross)


def statistics_distance(first: Statistics, second: Statistics) -> float:
    """The distance between two `Statistics`, to about 1e-7 of their largest eigenvalues.

    The `root` of the first is computed once and cached. With cov1 = A A', trace((cov1 cov2)^(1/2))
    is the trace of the symmetric (A' cov2 A)^(1/2).
    """
    if first.mean.shape != second.mean.shape:
        raise UsageError(
            "expected two statistics of the same width. "
            f"Received: {len(first.mean)} and {len(second.mean)}"
        )
    product = first.root.T @ second.covariance @ first.root
    cross = 0.0
    if len(product):
        try:
            values = np.linalg.eigvalsh((product + product.T) / 2)
        except np.linalg.LinAlgError as error:
            raise RunError(f"features are too large for a Frechet distance: {error}") from error
        keep = values > max(values[-1], 0.0) * eigenvalue_cutoff(len(first.mean))
        cross = np.sqrt(values[keep]).sum()
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    return assemble_distance(first.mean - second.mean, traces, cross)


def assemble_distance(difference: np.ndarray, traces: float, cross: float) -> float:
    distance = difference @ difference + traces - 2 * cross
    # Rounding may make the distance of equal sets slightly negative.
    if not distance >= -1e-6 * traces:
        raise RunError(f"expected a distance of at least 0. Received: {distance}, {traces=}")
    return float(max(distance, 0.0))


def class_distances(
    real: np.ndarray, real_labels: np.ndarray, fake: np.ndarray, fake_labels: np.ndarray
) -> dict[int, float | None]:
    """Frechet distances within classes; their mean is the intra-FID.

    Source: Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637, section 4. One class is in
    memory at a time, so the features may be memory-mapped. With fewer vectors than dimensions the
    distance has a large bias: compare only values of equal numbers of images per class.

    Features are `[n, d]` and `[m, d]`, labels int `[n]` and `[m]`.

    Returns:
        The distance by class; None where one of the sets has fewer than two vectors.
    """
    check_pair(real, fake)
    distances, sets = {}, ((real, real_labels), (fake, fake_labels))
    for label in np.unique(real_labels):
        parts = [features[np.flatnonzero(labels == label)] for features, labels in sets]
        enough = min(map(len, parts)) >= 2
        distances[int(label)] = frechet_distance(*parts) if enough else None
    return distances


def thumbnails(images: np.ndarray, size: int = 8) -> np.ndarray:
    """Gray thumbnails as vectors: `[n, H, W, C]` uint8 to `[n, size * size]` in [0, 1].

    Averages over squares and channels; H and W are multiples of `size`.
    """
    count, height, width, channels = images.shape
    shape = (count, size, height // size, size, width // size, channels)
    squares = images.reshape(shape).astype(np.float64) / 255
    return squares.mean(axis=(2, 4, 5)).reshape(count, size * size)
