"""How well one half of an image matches the other, where the class says how they belong together.

The arithmetic of the set `symmetry` (`data/symmetry.py`): for the claim of Zhang et al. 2019,
https://arxiv.org/abs/1805.08318, that attention helps with structure over long ranges, without any
network that judges.
"""

import numpy as np

CLASSES = (
    "mirrored left-right",
    "mirrored up-down",
    "repeated left-right",
    "repeated up-down",
)


def halves(image, label):
    """Two views of an image, equal in images of class `label`.

    Args:
        image: `[size, size, ...]`, size even.
        label: int, index in `CLASSES`.

    Returns:
        The left or upper half; and the other one, turned over for the mirrored classes.

    Raises:
        ValueError: if `label` is no index of `CLASSES`.
    """
    if not 0 <= label < len(CLASSES):
        raise ValueError(f"expected a label in 0...{len(CLASSES) - 1}. Received: label={label}")
    middle = len(image) // 2
    kind, axes = CLASSES[label].split()
    upright = image if axes == "up-down" else image.swapaxes(0, 1)
    first, second = upright[:middle], upright[middle:]
    return first, second[::-1] if kind == "mirrored" else second


def coherence(images, labels):
    """Mean correlation of the two halves: 1 for real images, about 0 for unrelated halves.

    Pearson's, over pixels and channels of an image, with each channel's mean taken from each half;
    0 for an image of which a half has no variation.

    Args:
        images: `[n, size, size, channels]`, size even. Computed in float64.
        labels: int `[n]`, indices in `CLASSES`.

    Returns:
        float in [-1, 1].

    Raises:
        ValueError: if a label is no index of `CLASSES`.
    """
    return float(
        np.mean([correlation(*halves(*pair)) for pair in zip(images, labels, strict=True)])
    )


def correlation(first, second):
    first, second = (
        half.astype(np.float64) - half.mean(axis=(0, 1), dtype=np.float64)
        for half in (first, second)
    )
    length = np.sqrt(np.sum(first**2) * np.sum(second**2))
    return np.sum(first * second) / length if length else 0.0
