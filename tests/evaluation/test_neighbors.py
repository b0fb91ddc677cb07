"""Nearest real images against distances of all pairs, and copies that must be found."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from keras_sagan.evaluation import neighbors as module
from keras_sagan.evaluation.neighbors import NeighborSearch

RNG = np.random.default_rng(0)
SHAPE = (6, 5, 3)  # Not square: a mirror image is across the width.
REAL = RNG.integers(0, 256, (90, *SHAPE), np.uint8)
FAKES = RNG.integers(0, 256, (7, *SHAPE), np.uint8)
MATRIX = RNG.normal(size=(np.prod(SHAPE), 4)).astype(np.float32)


def extract(images):
    """Features `[n, 4]` that are not the same for a mirror image."""
    return images.reshape(len(images), -1).astype(np.float32) @ MATRIX / 255


def flat(images):
    return images.reshape(len(images), -1).astype(float)


def all_distances(x, y):
    """Of all pairs, by both distances."""
    pixels = cdist(flat(x), flat(y)) / np.sqrt(np.prod(SHAPE))
    return {"pixels": pixels, "features": cdist(extract(x), extract(y))}


@pytest.mark.parametrize("entries", [1 << 23, 1000, 1])
@pytest.mark.parametrize("mirror", [False, True])
def test_neighbors_are_those_of_all_pairs(entries, mirror, monkeypatch):
    monkeypatch.setattr(module, "ENTRIES", entries)  # Several blocks, and blocks of one image.
    straight, other = all_distances(FAKES, REAL), all_distances(FAKES, REAL[:, :, ::-1])
    best = {n: np.minimum(straight[n], other[n]) if mirror else straight[n] for n in straight}
    found = NeighborSearch(REAL, extract, 4, mirror).find_neighbors(FAKES)
    assert list(found) == ["pixels", "features"]
    for name, by in found.items():
        order = np.argsort(best[name], axis=1)[:, :4]
        np.testing.assert_array_equal(by.index, order)
        for space in best:
            expected = np.take_along_axis(best[space], order, axis=1)
            np.testing.assert_allclose(getattr(by, space), expected, rtol=1e-5)
        nearer = np.take_along_axis(other[name] < straight[name], order, axis=1)
        np.testing.assert_array_equal(by.mirrored, nearer & mirror)
    assert not mirror or 0 < found["pixels"].mirrored.mean() < 1


def test_copies_are_found_at_distance_zero_and_mirrored_ones_only_if_asked():
    copies = np.stack([REAL[70], REAL[3][:, ::-1]])
    for mirror in (False, True):
        found = NeighborSearch(REAL, extract, 2, mirror).find_neighbors(copies)["pixels"]
        np.testing.assert_array_equal(found.pixels[:, 0] == 0, [True, mirror])
        assert found.index[0, 0] == 70
    assert found.index[1, 0] == 3
    np.testing.assert_array_equal(found.mirrored[:, 0], [False, True])
    np.testing.assert_allclose(found.features[:, 0], 0, atol=1e-5)


def test_an_image_is_no_neighbor_of_itself_but_of_its_duplicate():
    real = np.concatenate([REAL, REAL[:1]])
    found = NeighborSearch(real, extract, 3, True).find_neighbors(
        real[[0, 5]], own=np.array([0, 5])
    )
    for by in found.values():
        assert by.index[0, 0] == 90
        assert 0 not in by.index[0]
        assert 5 not in by.index[1]


def test_without_an_extractor_there_are_pixels_alone():
    found = NeighborSearch(REAL, None, 200, False).find_neighbors(FAKES)
    assert list(found) == ["pixels"]
    assert found["pixels"].features is None
    assert found["pixels"].index.shape == (7, 90)


@pytest.mark.parametrize("references", [500, 20])
def test_reference_is_of_real_images_to_other_real_ones(references, monkeypatch):
    monkeypatch.setattr(module, "REFERENCES", references)
    found, reference = NeighborSearch(REAL, extract, 3, False).find_with_references(FAKES)
    alone = NeighborSearch(REAL, extract, 3, False).find_neighbors(FAKES)
    distances = all_distances(REAL, REAL)
    for name, by in found.items():
        np.testing.assert_array_equal(by.index, alone[name].index)
        np.testing.assert_array_equal(by.pixels, alone[name].pixels)
        np.fill_diagonal(distances[name], np.inf)
        expected = np.sort(distances[name].min(axis=1))
        if references == 500:
            np.testing.assert_allclose(reference[name], expected, rtol=1e-5)
        assert len(reference[name]) == min(references, 90)
        assert np.isin(reference[name].round(4), expected.round(4)).all()
        assert (np.diff(reference[name]) >= 0).all()


def test_memory_does_not_grow_with_the_number_of_real_images(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ENTRIES", 1 << 16)
    peaks = []
    for count in (2_000, 20_000):
        path = tmp_path / f"{count}.npy"
        np.save(path, RNG.integers(0, 256, (count, *SHAPE), np.uint8))
        real = np.load(path, mmap_mode="r")
        tracemalloc.start()
        NeighborSearch(real, extract, 4, True).find_neighbors(FAKES)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
