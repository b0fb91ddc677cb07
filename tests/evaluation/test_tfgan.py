"""TF-GAN's metrics against ours, on the same features."""

import json
import subprocess
import sys

import numpy as np
import pytest

from keras_sagan.errors import RunError
from keras_sagan.evaluation import tfgan
from keras_sagan.evaluation.scores import INCEPTION, FeatureSet, all_scores
from keras_sagan.metrics import kernel
from keras_sagan.metrics.protocol import PROTOCOLS

RNG = np.random.default_rng(0)


def feature_sets(n_real=3000, n_fake=2500, width=64):
    mix = RNG.normal(size=(width, width)) / np.sqrt(width)
    sets = [
        FeatureSet(
            np.maximum(RNG.normal(size=(n, width)) @ mix * scale, 0).astype(np.float32),
            RNG.normal(size=(n, 10)).astype(np.float32),
        )
        for n, scale in ((n_real, 1.0), (n_fake, 1.1))
    ]
    return sets


def test_tfgan_is_installed():
    """Without TF-GAN, the cross-check would be missing silently."""
    assert tfgan.load_library() is not None


def test_the_calls_of_the_published_example():
    """Values computed once with TF-GAN 2.1 and TensorFlow Probability itself."""
    r = np.random.RandomState(0)
    real, fake, logits = r.randn(100, 8), r.randn(100, 8), r.randn(100, 10)
    assert tfgan.frechet_distance(real, fake) == pytest.approx(0.6500817744821966, rel=1e-12)
    assert tfgan.inception_score(logits, 1) == pytest.approx(1.4116666108699076, rel=1e-12)


@pytest.mark.slow_except("tfgan")
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_scores_of_all_protocols_agree(protocol, monkeypatch):
    monkeypatch.setattr(kernel, "SUBSETS", 9)
    real, fake = feature_sets()
    scores = all_scores(real, fake, protocol, INCEPTION, accuracy=False)
    for name in ("fid", "is", "kid"):
        score = scores[name]
        assert score["tfgan"] == pytest.approx(score["value"], rel=1e-9), name
        assert 0 <= score["relative_difference"] < 1e-9
        assert score["value"] > 0


def test_fewer_images_than_dimensions_are_compared_without_an_error():
    real, fake = feature_sets(50, 60, 128)
    score = all_scores(real, fake, PROTOCOLS["tfgan"], INCEPTION, accuracy=False)["fid"]
    assert score["relative_difference"] is not None
    assert score["tfgan"] == pytest.approx(score["value"], rel=1e-3)


def test_another_value_is_an_error(monkeypatch):
    real, fake = feature_sets(300, 300, 8)
    wrong = PROTOCOLS["tfgan"]
    original = tfgan.call_tfgan
    monkeypatch.setattr(tfgan, "call_tfgan", lambda *arguments: original(*arguments) * 1.001)
    with pytest.raises(RunError, match="TF-GAN's frechet_distance within 1e-06 of ours"):
        all_scores(real, fake, wrong, INCEPTION, accuracy=False)


def test_equal_sets_agree():
    """Where a difference relative to zero would be one of rounding errors."""
    real, _ = feature_sets(2000, 2000, 32)
    scores = all_scores(real, real, PROTOCOLS["tfgan"], INCEPTION, accuracy=False)
    assert scores["fid"]["value"] == pytest.approx(0, abs=1e-9)
    assert scores["fid"]["relative_difference"] < 1e-6


@pytest.mark.parametrize("unit", [0, 1e-6, 1e6])
def test_the_unit_of_the_features_does_not_matter(unit):
    """TF-GAN's own distance is wrong where eigenvalues of covariances fall below 1e-10."""
    sets = [
        FeatureSet(part.features.astype(np.float64) * unit) for part in feature_sets(300, 300, 8)
    ]
    score = all_scores(*sets, PROTOCOLS["tfgan"], INCEPTION, accuracy=False)["fid"]
    assert score["relative_difference"] < 1e-9


def test_a_direction_that_fakes_hardly_use_is_not_lost():
    """Its root is small, but not against 1e-6."""
    real, fake = (part.features.astype(np.float64) for part in feature_sets(300, 300, 8))
    fake[:, 0] *= 5e-6
    score = all_scores(
        FeatureSet(real), FeatureSet(fake), PROTOCOLS["tfgan"], INCEPTION, accuracy=False
    )["fid"]
    assert score["relative_difference"] < 1e-8


def test_classes_without_pairs_make_one_score_unavailable():
    real, fake = (
        FeatureSet(part.features, labels=np.full(300, label))
        for label, part in enumerate(feature_sets(300, 300, 8))
    )
    scores = all_scores(real, fake, PROTOCOLS["tfgan"], INCEPTION, accuracy=False)
    assert scores["intra_fid"]["value"] is None
    assert "two real images and two fakes" in scores["intra_fid"]["unavailable"]
    assert scores["fid"]["value"] > 0


def test_nan_of_tfgan_is_no_value_to_check():
    """Its inception score with a class of probability zero; ours is the number of classes seen."""
    logits = 1e3 * np.eye(10)[np.arange(60) % 3]
    check = tfgan.cross_check(3.0, tfgan.inception_score, logits, 1)
    assert check == {"tfgan": None, "relative_difference": None}


@pytest.mark.slow
def test_nothing_else_of_the_process_is_touched():
    """Neither tf_keras nor TensorFlow Probability's stand-in stay, and warnings are errors."""
    code = (
        "import warnings; import tensorflow, keras; warnings.simplefilter('error')\n"
        "import json, sys\n"
        "from keras_sagan.evaluation import tfgan\n"
        "assert tfgan.load_library()\n"
        "print(json.dumps([m for m in ('tensorflow_probability', 'tf_keras') if m in sys.modules]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == []
