"""How much of the attention goes to the place that a texture's class makes equal to one's own.

For the set `symmetry` (`data/symmetry.py`): its classes say which position repeats which, so
whether attention has learned this is a count, not an impression. Source of the claim: Zhang et al.
2019, https://arxiv.org/abs/1805.08318, section 5.2 and figure 5.
"""

import numpy as np

from keras_sagan.metrics.coherence import halves

# How far off attention may be, in positions of the feature map.
RADIUS = 2


def counterparts(size, label):
    """The position that each one mirrors or repeats, in images of class `label`.

    Args:
        size: int, height and width of the feature map, even.
        label: int, index in `coherence.CLASSES`.

    Returns:
        int `[size, size, 2]`: row and column.
    """
    positions = np.arange(size * size).reshape(size, size)
    found = np.empty_like(positions)
    first, second = halves(positions, label)
    of_first, of_second = halves(found, label)  # Views, through which `found` is filled.
    of_first[:], of_second[:] = second, first
    return np.stack(np.divmod(found, size), axis=-1)


def is_near(places, size):
    """Which keys lie within `RADIUS` positions of a place, in both directions.

    A key is a square of 2x2 positions, and lies where its center does: that of key k is half a
    position behind position 2k. So two keys in each direction are near, or one at a border.

    Args:
        places: int `[size, size, 2]`, row and column for each position.
        size: int, even.

    Returns:
        bool `[size, size, size / 2, size / 2]`.
    """
    centers = 2 * np.arange(size // 2) + 0.5
    rows, columns = (np.abs(centers - places[..., axis, None]) <= RADIUS for axis in (0, 1))
    return rows[..., :, None] & columns[..., None, :]


def counterpart_share(maps, label):
    """The share of attention near the counterpart, a mean over queries, and what an even map has.

    Queries nearer to their counterpart than twice `RADIUS`, those along the axis of a mirror, do
    not count: looking around oneself would look like knowing the class.

    Args:
        maps: `[n, size, size, size / 2, size / 2]`: of each query what it attends to, sums to 1.
        label: int, index in `coherence.CLASSES`; of the images, or another to compare with.

    Returns:
        share: float64 `[n]`, in [0, 1].
        even: float, the same of maps that attend to all keys alike.
    """
    size = maps.shape[1]
    places = counterparts(size, label)
    own = np.moveaxis(np.indices((size, size)), 0, -1)
    far = np.abs(places - own).max(axis=-1) >= 2 * RADIUS
    near = is_near(places, size)[far]  # [queries, h, w]
    shares = np.einsum("nqhw,qhw->nq", maps[:, far].astype(np.float64), near.astype(np.float64))
    return shares.mean(axis=1), float(near.mean())
