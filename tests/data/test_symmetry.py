"""The set `symmetry`: its claim, and its bits."""

import hashlib

import numpy as np
import pytest
from images import prepare_config

from keras_sagan.config import Config
from keras_sagan.data.symmetry import texture
from keras_sagan.errors import UsageError
from keras_sagan.metrics.coherence import CLASSES, coherence, halves


def prepared_set(tmp_path, dataset="symmetry:40", size=16, **changes):
    return prepare_config(
        Config(dataset=dataset, image_size=size, data_dir=str(tmp_path), **changes)
    )


@pytest.mark.slow_except("32")
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_real_images_are_coherent_and_shuffled_halves_are_not(tmp_path, size):
    prepared = prepared_set(tmp_path, size=size)
    images, labels = np.array(prepared.images), np.array(prepared.labels)
    assert images.shape == (40, size, size, 3)
    assert tuple(prepared.record["classes"]) == CLASSES
    np.testing.assert_array_equal(np.bincount(labels), [10, 10, 10, 10])
    assert coherence(images, labels) == pytest.approx(1, abs=1e-6)
    for label in range(4):
        of_class = images[labels == label]
        others = np.array([halves(image, label)[1] for image in np.roll(of_class, 1, axis=0)])
        for image, other in zip(of_class, others, strict=True):
            halves(image, label)[1][:] = other
        assert abs(coherence(of_class, np.full(10, label))) < 0.1
    assert coherence(images, (labels + 1) % 4) < 0.2


def test_gray_images_are_coherent_too(tmp_path):
    prepared = prepared_set(tmp_path, image_channels=1)
    assert coherence(prepared.images, prepared.labels) == pytest.approx(1, abs=1e-6)


def test_textures_use_the_range_of_values_and_differ():
    images = np.stack([texture(32, 0, i) for i in range(20)])
    assert images.min() < 40
    assert images.max() > 215
    flat = images.reshape(20, -1).astype(float)
    others = np.corrcoef(flat)[~np.eye(20, dtype=bool)]
    assert np.abs(others).max() < 0.4


def test_bits_follow_from_size_count_and_seed_alone(tmp_path):
    first = prepared_set(tmp_path / "a")
    assert first.record["sha256"] == prepared_set(tmp_path / "b").record["sha256"]
    other = prepared_set(tmp_path / "a", "symmetry:40:1")
    assert not np.array_equal(first.images, other.images)
    digest = hashlib.sha256(texture(128, 3, 5).tobytes()).hexdigest()
    assert digest.startswith("e6c39d215bb87a2f")


@pytest.mark.parametrize(
    "name", ["symmetry:3", "symmetry:x", "symmetry:8:1:2", "symmetry:", "symmetry:8:-1"]
)
def test_other_names_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"dataset must be symmetry, .* Received: symmetry:"):
        prepared_set(tmp_path, name)
