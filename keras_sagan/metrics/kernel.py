"""Kernel distance: squared maximum mean discrepancy with the kernel (x.y / d + 1)^3.

Source: Binkowski et al. 2018, https://arxiv.org/abs/1801.01401. Unbiased, so it may be negative.
"""

from collections.abc import Iterator

import numpy as np

from keras_sagan.errors import UsageError
from keras_sagan.metrics.features import check_pair, shuffled

# The block size of TF-GAN, which the released SAGAN evaluation uses.
BLOCK = 1024
# As in clean-fid, torch-fidelity and StyleGAN; the seed is torch-fidelity's.
SUBSETS, SUBSET, SEED = 100, 1000, 2020


def kernel_distance(
    real: np.ndarray, fake: np.ndarray, convention: str = "blocks"
) -> tuple[float, float | None]:
    """The mean estimate over parts of the sets, and its standard error.

    Args:
        real: `[n, d]`. Computed in float64.
        fake: `[m, d]`.
        convention: "blocks": disjoint blocks of the shuffled sets, as in TF-GAN. "subsets":
            random subsets; they overlap, so that their spread is not an error estimate.

    Returns:
        The error is None for subsets and for a single block.

    Raises:
        UsageError: if the sets cannot be compared, or a part would have fewer than two vectors.
    """
    estimates = [discrepancy(x, y) for x, y in paired_parts(real, fake, convention)]
    if convention == "subsets" or len(estimates) == 1:
        return float(np.mean(estimates)), None
    error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    return float(np.mean(estimates)), float(error)


def paired_parts(real, fake, convention: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of parts of the two sets, float64."""
    check_pair(real, fake)
    if convention == "subsets":
        rng = np.random.RandomState(SEED)
        size = min(SUBSET, len(real), len(fake))
        for _ in range(SUBSETS):
            x, y = (part[rng.choice(len(part), size, replace=False)] for part in (real, fake))
            yield np.asarray(x, np.float64), np.asarray(y, np.float64)
        return
    count = -(-max(len(real), len(fake)) // BLOCK)
    if min(len(real), len(fake)) < 2 * count:
        raise UsageError(
            f"expected at least {2 * count} images in each set, 2 for each of {count} blocks. "
            f"Received: {len(real)} real, {len(fake)} fake"
        )
    for x, y in zip(*(split_evenly(shuffled(part), count) for part in (real, fake)), strict=True):
        yield np.asarray(x, np.float64), np.asarray(y, np.float64)


def split_evenly(values: np.ndarray, count: int) -> list[np.ndarray]:
    """`count` pieces whose sizes differ by at most one, the larger ones last, as in TF-GAN."""
    size, larger = divmod(len(values), count)
    sizes = [size] * (count - larger) + [size + 1] * larger
    return np.split(values, np.cumsum(sizes)[:-1])


def discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    """The U-statistic of two sets, which does not pair a vector with itself."""
    within = 0.0
    for part in (x, y):
        gram = kernel(part, part)
        within += (gram.sum() - np.trace(gram)) / (len(part) * (len(part) - 1))
    return float(within - 2 * kernel(x, y).mean())


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3
