"""The scores that choose the best checkpoint, against their definitions."""

import types

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.extractors import trained
from keras_sagan.extractors.tasks import CLASSES, ROTATIONS
from keras_sagan.extractors.trained import train_extractor
from keras_sagan.metrics.frechet import frechet_distance, thumbnails
from keras_sagan.training.best_score import make_best_score

ONE = tf.distribute.get_strategy()
FAKES = np.random.default_rng(1).integers(0, 200, (1000, 16, 16, 1), np.uint8)


def config(data_dir, **changes):
    return Config(
        dataset="synthetic", image_size=16, image_channels=1, data_dir=data_dir, **changes
    )


@pytest.mark.slow
def test_classifier_judges_a_thousand_fakes_against_all_real_images(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 1)
    settings = config(str(tmp_path), eval_every=5)
    prepared = prepare(settings.image_set, settings.data_dir)
    best = make_best_score(prepared, settings.eval_every, settings.data_dir)
    sha256 = prepared.record["sha256"]
    network = train_extractor(CLASSES, prepared.images, prepared.labels, sha256, tmp_path, ONE)
    real, fake = (
        network(images / np.float32(127.5) - 1)[0].numpy() for images in (prepared.images, FAKES)
    )
    assert (best.name, best.count) == (f"fd1k/{network.name}", 1000)
    assert best.score(FAKES) == pytest.approx(frechet_distance(real, fake), rel=1e-5)


def test_rotations_judge_images_without_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 1)
    images, labels = FAKES[:100] + np.uint8(20), np.zeros(100, np.int32)
    prepared = types.SimpleNamespace(images=images, labels=labels, record={"sha256": "0" * 64})
    best = make_best_score(prepared, 5, str(tmp_path))
    network = train_extractor(ROTATIONS, images, labels, "0" * 64, tmp_path, ONE)
    assert (best.name, best.count) == (f"fd1k/{network.name}", 1000)
    real, fake = (network(each / np.float32(127.5) - 1)[0].numpy() for each in (images, FAKES))
    assert best.score(FAKES) == pytest.approx(frechet_distance(real, fake), rel=1e-5)


def test_thumbnails_judge_without_evaluation(tmp_path):
    settings = config(str(tmp_path))
    prepared = prepare(settings.image_set, settings.data_dir)
    best = make_best_score(prepared, settings.eval_every, settings.data_dir)
    assert (best.name, best.count) == ("thumbnail_fd512", 512)
    expected = frechet_distance(thumbnails(prepared.images[:512]), thumbnails(FAKES[:512]))
    assert best.score(FAKES[:512]) == pytest.approx(expected, rel=1e-12)
