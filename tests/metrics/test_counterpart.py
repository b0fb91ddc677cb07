"""The share of attention near the counterpart, against positions and shares known by hand."""

import numpy as np
import pytest

from keras_sagan.metrics.coherence import CLASSES, coherence
from keras_sagan.metrics.counterpart import counterpart_share, counterparts, is_near

SIZE = 16


@pytest.mark.parametrize(
    ("label", "place"), [(0, (3, 14)), (1, (12, 1)), (2, (3, 9)), (3, (11, 1))], ids=CLASSES
)
def test_the_counterpart_is_that_of_the_class_and_the_other_way_round(label, place):
    found = counterparts(SIZE, label)
    assert tuple(found[3, 1]) == place
    assert tuple(found[place]) == (3, 1)


@pytest.mark.parametrize("label", range(4), ids=CLASSES)
def test_images_of_a_class_are_equal_at_counterparts(label):
    found = counterparts(SIZE, label)
    image = np.random.default_rng(0).normal(size=(SIZE, SIZE))
    rows, columns = found[..., 0], found[..., 1]
    made = image + image[rows, columns]
    assert coherence(made[None, ..., None], [label]) == pytest.approx(1)


def test_keys_are_near_by_the_centers_of_their_squares():
    places = np.zeros((SIZE, SIZE, 2), int)
    places[5, 7] = 3, 8  # Keys 0...7 have their centers at 0.5, 2.5, ..., 14.5.
    near = is_near(places, SIZE)
    assert np.argwhere(near[5, 7]).tolist() == [[1, 3], [1, 4], [2, 3], [2, 4]]
    assert np.argwhere(near[0, 0]).tolist() == [[0, 0]]


def maps_looking_at(places):
    """One map for each query, all of it on the key of `places[query]`."""
    maps = np.zeros((1, SIZE, SIZE, SIZE // 2, SIZE // 2), np.float32)
    for query in np.ndindex(SIZE, SIZE):
        row, column = places[query]
        maps[0, *query, row // 2, column // 2] = 1
    return maps


@pytest.mark.parametrize("label", range(4), ids=CLASSES)
def test_maps_that_know_their_class_have_all_and_others_little(label):
    maps = maps_looking_at(counterparts(SIZE, label))
    assert counterpart_share(maps, label)[0] == [1.0]
    for other in set(range(4)) - {label}:
        assert counterpart_share(maps, other)[0][0] < 0.5


@pytest.mark.parametrize("label", range(4), ids=CLASSES)
def test_looking_at_oneself_counts_for_nothing(label):
    own = np.stack(np.indices((SIZE, SIZE)), axis=-1)
    assert counterpart_share(maps_looking_at(own), label)[0] == [0.0]


def test_an_even_map_has_the_even_share():
    even = np.full((2, SIZE, SIZE, SIZE // 2, SIZE // 2), 4 / SIZE**2)
    # Repeated left-right: of 16 rows two, and of 16 columns two, are at a border, where an even one
    # sees one key of 8 and the next, an odd one, two, as do all others.
    share, chance = counterpart_share(even, 2)
    assert chance == pytest.approx((30 / 16 / 8) ** 2)
    np.testing.assert_allclose(share, chance)


def test_shares_are_of_each_image():
    maps = np.concatenate([maps_looking_at(counterparts(SIZE, label)) for label in (0, 3)])
    assert counterpart_share(maps, 3)[0][1] == 1.0
    assert counterpart_share(maps, 3)[0][0] < 0.5
