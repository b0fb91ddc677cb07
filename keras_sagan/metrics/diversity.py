"""How much images differ from each other, to see a generator collapse.

The measure is for comparison with the same one of real images: it sees that all images of a class
have become one, and not that some kinds of them are missing, for which there is `recall`.
"""

import numpy as np

from keras_sagan.metrics.frechet import thumbnails

# Below this share of the diversity of real images, a generator has collapsed. Our choice.
LEAST = 0.1


def diversity(images, labels):
    """Mean distance between two images of one class; the mean over classes.

    Within classes, since a generator that knows one image a class would else look diverse. The
    distance is the root of the mean square over the pixels of gray 8x8 thumbnails, in which the
    noise of a generator that is not trained yet counts for little.

    Args:
        images: uint8 `[n, H, W, C]`; H and W multiples of 8.
        labels: int `[n]`. Classes of one image do not count.

    Returns:
        float in [0, 1]; 0 if no class has two images.
    """
    distances = [
        mean_distance(thumbnails(images[labels == label]))
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
        if count > 1
    ]
    return float(np.mean(distances)) if distances else 0.0


def mean_distance(vectors):
    """Over all pairs of `[n, d]`, n at least 2, of the root of the mean squared difference."""
    differences = vectors[:, None] - vectors[None]
    distances = np.sqrt(np.mean(differences**2, axis=-1))
    return distances.sum() / (len(vectors) * (len(vectors) - 1))
