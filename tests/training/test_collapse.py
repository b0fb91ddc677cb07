"""Samples that are alike: measured against real images, said once, and recorded."""

import dataclasses
import json

import numpy as np
import pytest
import smallest

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.metrics.diversity import diversity
from keras_sagan.training import run
from keras_sagan.training.best_score import BestScore
from keras_sagan.training.collapse import CollapseWatch
from keras_sagan.training.session import SAGAN

GRID = np.repeat(np.arange(10), 8)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    data_dir = str(tmp_path_factory.mktemp("data"))
    settings = smallest.NETWORKS | {"num_classes": 10, "batch_size": 4, "total_steps": 30}
    return Config(**settings, data_dir=data_dir)


@pytest.fixture(scope="module")
def prepared(config):
    return prepare(config.image_set, config.data_dir)


def of_class(prepared, label, count=8):
    return prepared.images[np.flatnonzero(prepared.labels == label)[-count:]]


def test_real_images_are_as_diverse_as_real_images(prepared):
    watch = CollapseWatch(prepared, GRID, 10)
    others = np.concatenate([of_class(prepared, label) for label in range(10)])
    assert watch.relative_diversity(others) == pytest.approx(1, rel=0.1)
    all_of_3 = np.flatnonzero(prepared.labels == 3)
    expected = diversity(prepared.images[all_of_3], prepared.labels[all_of_3])
    of_3 = CollapseWatch(prepared, np.full(8, 3), 10)
    assert of_3.real == pytest.approx(expected, rel=0.1)


def test_one_image_a_class_is_a_collapse_and_without_classes_it_is_not(prepared):
    one = np.concatenate([np.repeat(of_class(prepared, i, 1), 8, axis=0) for i in range(10)])
    assert CollapseWatch(prepared, GRID, 10).relative_diversity(one) == 0
    assert CollapseWatch(prepared, GRID, 0).relative_diversity(one) > 0.8


def test_real_images_that_do_not_differ_forbid_nothing(prepared):
    same = np.flatnonzero(prepared.labels == 0)[:1].repeat(2)
    same = dataclasses.make_dataclass("Same", ("images", "labels"))(prepared.images[same], [0, 0])
    watch = CollapseWatch(same, np.zeros(8, int), 10)
    assert watch.relative_diversity(of_class(prepared, 0)) == 1


@pytest.mark.slow
def test_fall_is_said_once_and_recorded_and_again_after_a_recovery(config, tmp_path, capfd):
    """A generator of zeros makes gray images. Samples of the fresh one differ."""
    fresh, gray = [], {1, 2, 5, 6}

    def make_call(training):
        generator = training.state.ema_generator
        fresh.append(generator.get_weights())

        def call(num_steps):
            assert num_steps == 1
            step = training.state.step.assign_add(1)
            generator.set_weights([weight * (int(step) not in gray) for weight in fresh[0]])
            return {"d_loss": 1.0, "g_loss": 1.0}, None

        return call

    method = dataclasses.replace(SAGAN, make_train_call=make_call, measures_xla=False)
    for total in (5, 6):  # The second process resumes from step 5.
        settings = {"total_steps": total, "checkpoint_every": 5, "eval_every": 1}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "make_best_score", lambda *_: BestScore("zero", 1, lambda _: 0.0))
            run.train(dataclasses.replace(config, **settings), tmp_path, method)
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    diversities = {row["step"]: row["diversity"] for row in rows}
    assert sorted(diversities) == [1, 2, 3, 4, 5, 6]
    assert {step for step, value in diversities.items() if value == 0} == gray
    assert min(diversities[step] for step in (3, 4)) > 0.1
    said = [line for line in capfd.readouterr().err.splitlines() if "mode collapse" in line]
    assert [line.partition(": samples")[0] for line in said] == [
        "warning: mode collapse at step 1",
        "warning: mode collapse at step 5",
    ]
    assert "differ from each other by 0.0% of what real images do, less than 10%" in said[0]
