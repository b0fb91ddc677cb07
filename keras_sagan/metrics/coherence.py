"""How well the two halves of an image match, where its class defines how they are related.

For the data set `symmetry` (`data/symmetry.py`). It tests the claim of Zhang et al. 2019,
https://arxiv.org/abs/1805.08318, that attention helps with long-range structure, and needs no
network to do so.
"""

import numpy as np

CLASSES = ("mirrored left-right", "mirrored up-down", "repeated left-right", "repeated up-down")


def halves(image: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Two views of an image that are equal in images of class `label`.

    Args:
        image: `[size, size, ...]`, size even.
        label: index in `CLASSES`.

    Returns:
        The left or upper half; and the other one, flipped for the mirrored classes.

    Raises:
        ValueError: if `label` is not an index of `CLASSES`.
    """
    if not 0 <= label < len(CLASSES):
        raise ValueError(f"expected a label in 0...{len(CLASSES) - 1}. Received: label={label}")
    middle = len(image) // 2
    kind, axes = CLASSES[label].split()
    upright = image if axes == "up-down" else image.swapaxes(0, 1)
    first, second = upright[:middle], upright[middle:]
    return first, second[::-1] if kind == "mirrored" else second


def coherence(images: np.ndarray, labels: np.ndarray) -> float:
    """Mean correlation of the two halves: 1 for real images, about 0 for unrelated halves.

    Pearson correlation over the pixels and channels of an image, after subtracting the mean of each
    channel in each half. It is 0 for an image with a constant half.

    Args:
        images: `[n, size, size, channels]`, size even. Computed in float64.
        labels: int `[n]`, indices in `CLASSES`.

    Returns:
        A value in [-1, 1].

    Raises:
        ValueError: if a label is not an index of `CLASSES`.
    """
    pairs = (halves(*pair) for pair in zip(images, labels, strict=True))
    return float(np.mean([correlation(*pair) for pair in pairs]))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = (
        half.astype(np.float64) - half.mean(axis=(0, 1), dtype=np.float64)
        for half in (first, second)
    )
    length = np.sqrt(np.sum(first**2) * np.sum(second**2))
    return np.sum(first * second) / length if length else 0.0
