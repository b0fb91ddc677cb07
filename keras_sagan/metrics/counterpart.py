"""How much attention goes to the position that an image's class makes equal to the query.

For the data set `symmetry` (`data/symmetry.py`). Its classes define which position repeats which,
so that we can count whether attention has learned this. Source of the claim: Zhang et al. 2019,
https://arxiv.org/abs/1805.08318, section 5.2 and figure 5.
"""

import numpy as np

from keras_sagan.metrics.coherence import halves

# How far from the counterpart attention still counts, in positions of the feature map.
RADIUS = 2


def counterparts(size: int, label: int) -> np.ndarray:
    """The position that each position mirrors or repeats, in images of class `label`.

    It is int `[size, size, 2]`, row and column; `size` is even, `label` in `coherence.CLASSES`.
    """
    positions = np.arange(size * size).reshape(size, size)
    found = np.empty_like(positions)
    first, second = halves(positions, label)
    of_first, of_second = halves(found, label)  # Writing to these views fills `found`.
    of_first[:], of_second[:] = second, first
    return np.stack(np.divmod(found, size), axis=-1)


def is_near(places: np.ndarray, size: int) -> np.ndarray:
    """Which keys lie within `RADIUS` positions of a place, in both directions.

    A key is a square of 2x2 positions. Its center counts: for key k, half a position behind
    position 2k. In each direction two keys are therefore near, or one at a border.

    Args:
        places: int `[size, size, 2]`, row and column for each position.
        size: even.

    Returns:
        bool `[size, size, size / 2, size / 2]`.
    """
    centers = 2 * np.arange(size // 2) + 0.5
    rows, columns = (np.abs(centers - places[..., axis, None]) <= RADIUS for axis in (0, 1))
    return rows[..., :, None] & columns[..., None, :]


def counterpart_share(maps: np.ndarray, label: int) -> tuple[np.ndarray, float]:
    """The share of attention near the counterpart, averaged over queries, and an even map's share.

    Queries nearer to their counterpart than twice `RADIUS`, along the axis of a mirror, are left
    out: there, attention to the own surroundings cannot be told from knowledge of the class.

    Args:
        maps: `[n, size, size, size / 2, size / 2]`, the attention of each query, which sums to 1.
        label: index in `coherence.CLASSES`: of the images, or another one for comparison.

    Returns:
        Shares, float64 `[n]`, in [0, 1]; and the share of a map that attends to all keys equally.
    """
    size = maps.shape[1]
    places = counterparts(size, label)
    own = np.moveaxis(np.indices((size, size)), 0, -1)
    far = np.abs(places - own).max(axis=-1) >= 2 * RADIUS
    near = is_near(places, size)[far]  # [queries, h, w]
    shares = np.einsum("nqhw,qhw->nq", maps[:, far].astype(np.float64), near.astype(np.float64))
    return shares.mean(axis=1), float(near.mean())
