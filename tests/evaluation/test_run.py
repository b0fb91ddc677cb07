"""A run's checkpoint scored by toy Inception networks, from generator to record."""

import dataclasses
import json

import numpy as np
import pytest
import smallest
import toys

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.evaluation import reals
from keras_sagan.evaluation.fakes import Inputs
from keras_sagan.evaluation.scorer import Settings
from keras_sagan.evaluation.scoring import evaluate_run
from keras_sagan.extractors import inception
from keras_sagan.extractors.extractor import preprocess
from keras_sagan.metrics.frechet import class_distances, frechet_distance
from keras_sagan.metrics.inception_score import inception_score
from keras_sagan.metrics.protocol import PROTOCOLS
from keras_sagan.runs.checkpoints import Checkpoints
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training.state import State
from keras_sagan.values import CheckpointChoice, ExtractorChoice

PROTOCOL = dataclasses.replace(PROTOCOLS["tfgan"], reals=60)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of no steps, and its generator."""
    folder = tmp_path_factory.mktemp("run")
    config = Config(
        **smallest.NETWORKS,
        num_classes=10,
        dataset="synthetic",
        data_dir=str(folder / "data"),
    )
    run = RunDirectory(folder)
    state = State.create(config)
    Checkpoints(run.checkpoints, state, 1).save()
    return run, config, state.ema_generator


def settings(path, **changes):
    given = {
        "protocol": PROTOCOL,
        "count": 50,
        "batch_size": 32,
        "strategy": "mirrored",
        "replicas": 1,
        "checkpoint": CheckpointChoice.parse("newest"),
        "ema": True,
        "batch_norm": "moving",
        "seed": 2,
        "real_statistics": None,
        "save_statistics": None,
    }
    return Settings((ExtractorChoice.parse(f"inception:{path}"),), **given | changes)


@pytest.mark.slow_except("graph.pb")
@pytest.mark.parametrize("form", ["graph.pb", "inception.tgz", "saved_model"])
def test_scores_by_a_toy_network_are_those_of_its_formula(form, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(inception, "WIDTHS", (toys.FEATURES, toys.CLASSES))  # As if it were it.
    run, config, generator = trained
    toys.FORMS[form](tmp_path / form)
    found = evaluate_run(run, config, settings(tmp_path / form)).scores
    values = {row["metric"]: row["value"] for row in found[0]}
    assert set(values) == {
        f"{name}50/tfgan" for name in ("fid", "is", "kid", "precision", "recall", "intra_fid")
    }
    prepared = prepare(config.image_set, config.data_dir)
    latents, labels = Inputs(2, config.z_dim, 10).draw_pairs(0, 50, "uniform")
    images = generator(latents, labels), prepared.images[:60] / np.float32(127.5) - 1
    fake, real = (toys.expected(preprocess(part, PROTOCOL).numpy()) for part in images)
    assert values["fid50/tfgan"] == pytest.approx(frechet_distance(real[0], fake[0]), rel=1e-4)
    assert values["is50/tfgan"] == pytest.approx(inception_score(fake[1])[0], rel=1e-5)
    within = class_distances(real[0], prepared.labels[:60], fake[0], labels)
    mean = np.mean([value for value in within.values() if value is not None])
    assert values["intra_fid50/tfgan"] == pytest.approx(mean, rel=1e-4)
    row = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])
    assert row["extractor"]["widths"] == [toys.FEATURES, toys.CLASSES]


def test_features_of_real_images_are_computed_once(trained, tmp_path, monkeypatch):
    run, config, _ = trained
    toys.write_frozen(tmp_path / "graph.pb")
    chosen = settings(tmp_path / "graph.pb")
    before = evaluate_run(run, config, chosen).scores[0]
    monkeypatch.setattr(reals, "real_features", None)
    after = evaluate_run(run, config, chosen).scores[0]
    assert [row["value"] for row in after] == [row["value"] for row in before]
    assert before[0]["metric"].startswith("fd50/graph-")  # Of other widths than Inception's.
    monkeypatch.undo()
    # Another number of real images is another set.
    fewer = settings(tmp_path / "graph.pb", protocol=dataclasses.replace(PROTOCOL, reals=55))
    assert evaluate_run(run, config, fewer).scores[0][0]["n_real"] == 55
