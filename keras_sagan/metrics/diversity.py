"""How much images differ from each other, to detect mode collapse.

To be compared with the diversity of real images. It detects that all images of a class look the
same; it does not detect that some kinds of images are missing, as `recall` does.
"""

import numpy as np

from keras_sagan.metrics.frechet import thumbnails

# Below this share of the diversity of real images, we call it mode collapse. Our choice.
LEAST = 0.1


def diversity(images: np.ndarray, labels: np.ndarray) -> float:
    """Mean distance between two images of the same class, averaged over classes.

    Within classes, because otherwise a generator with a single image for each class would look
    diverse. The distance is the root mean square difference of gray 8x8 thumbnails, in which the
    noise of an untrained generator counts little.

    Args:
        images: uint8 `[n, H, W, C]`; H and W multiples of 8.
        labels: int `[n]`. Classes with a single image are left out.

    Returns:
        A value in [0, 1]; 0 if no class has two images.
    """
    distances = [
        mean_distance(thumbnails(images[labels == label]))
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
        if count > 1
    ]
    return float(np.mean(distances)) if distances else 0.0


def mean_distance(vectors: np.ndarray) -> float:
    """The mean root mean square difference over all pairs of vectors `[n, d]`, n at least 2."""
    differences = vectors[:, None] - vectors[None]
    distances = np.sqrt(np.mean(differences**2, axis=-1))
    return distances.sum() / (len(vectors) * (len(vectors) - 1))
