"""Samples that are alike: measured against real images, said once, and recorded."""

import dataclasses
import json

import numpy as np
import pytest

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.metrics.diversity import diversity
from keras_sagan.training.collapse import CollapseWatch
from keras_sagan.training.run import train

GRID = np.repeat(np.arange(10), 8)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    data_dir = str(tmp_path_factory.mktemp("data"))
    settings = {"image_size": 16, "image_channels": 1, "z_dim": 4, "num_classes": 10}
    settings |= {"g_channels": 2, "d_channels": 2, "batch_size": 4, "total_steps": 30}
    return Config(**settings, data_dir=data_dir)


@pytest.fixture(scope="module")
def prepared(config):
    return prepare(config.image_set, config.data_dir)


def of_class(prepared, label, count=8):
    return prepared.images[np.flatnonzero(prepared.labels == label)[-count:]]


def test_real_images_are_as_diverse_as_real_images(config, prepared):
    watch = CollapseWatch(config, prepared, GRID)
    others = np.concatenate([of_class(prepared, label) for label in range(10)])
    assert watch.relative(others) == pytest.approx(1, rel=0.1)
    all_of_3 = np.flatnonzero(prepared.labels == 3)
    expected = diversity(prepared.images[all_of_3], prepared.labels[all_of_3])
    of_3 = CollapseWatch(config, prepared, np.full(8, 3))
    assert of_3.real == pytest.approx(expected, rel=0.1)


def test_one_image_a_class_is_a_collapse_and_without_classes_it_is_not(config, prepared):
    one = np.concatenate([np.repeat(of_class(prepared, i, 1), 8, axis=0) for i in range(10)])
    assert CollapseWatch(config, prepared, GRID).relative(one) == 0
    without = dataclasses.replace(config, num_classes=0)
    assert CollapseWatch(without, prepared, GRID).relative(one) > 0.8


def test_real_images_that_do_not_differ_forbid_nothing(config, prepared):
    same = np.flatnonzero(prepared.labels == 0)[:1].repeat(2)
    same = dataclasses.make_dataclass("Same", ("images", "labels"))(prepared.images[same], [0, 0])
    watch = CollapseWatch(config, same, np.zeros(8, int))
    assert watch.relative(of_class(prepared, 0)) == 1


def test_fall_is_said_once_and_recorded_and_again_after_a_recovery(config, tmp_path, capfd):
    """A generator of zeros makes gray images. Samples of the fresh one differ."""
    fresh, gray = [], {1, 2, 5, 6}

    def steps(config, strategy, state, prepared, checkpoints, records, preemption):
        fresh.append(state.ema_generator.get_weights())
        done = int(state.step.numpy())
        for step in range(done + 1, 6 if done == 0 else 7):
            weights = [weight * (step not in gray) for weight in fresh[0]]
            state.ema_generator.set_weights(weights)
            records.score(step)
            state.step.assign(step)
        checkpoints.save()

    for _ in range(2):  # The second process goes on from step 5.
        train(config, tmp_path, steps=steps)
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    diversities = {row["step"]: row["diversity"] for row in rows}
    assert sorted(diversities) == [1, 2, 3, 4, 5, 6]
    assert {step for step, value in diversities.items() if value == 0} == gray
    assert min(diversities[step] for step in (3, 4)) > 0.1
    said = [line for line in capfd.readouterr().err.splitlines() if "collapse" in line]
    assert [line.split(" samples")[0] for line in said] == [
        "warning: at step 1",
        "warning: at step 5",
    ]
    assert "differ from each other by 0.0% of what real images do, less than 10%" in said[0]
