"""A run is scored while training continues, with damaged checkpoints, on read-only storage."""

import dataclasses
import pathlib
import shutil
import types

import numpy as np
import pytest
import smallest
import tensorflow as tf
import toys

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError
from keras_sagan.evaluation import scorer, scoring
from keras_sagan.evaluation.scorer import Settings, broadcast_unwritten
from keras_sagan.evaluation.scoring import evaluate_run, share_failures
from keras_sagan.extractors import trained
from keras_sagan.extractors.tasks import CLASSES, ROTATIONS
from keras_sagan.extractors.trained import UNWRITTEN, network_path, train_extractor, train_once
from keras_sagan.metrics.protocol import PROTOCOLS
from keras_sagan.runs.checkpoints import Checkpoints, load_generator
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training.state import State
from keras_sagan.values import CheckpointChoice, ExtractorChoice

BOTH = (CLASSES, ROTATIONS)
PROTOCOL = dataclasses.replace(PROTOCOLS["tfgan"], reals=60)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A state to save, its configuration with prepared data, and two toy Inception networks."""
    folder = tmp_path_factory.mktemp("networks")
    config = Config(
        **smallest.NETWORKS,
        num_classes=10,
        dataset="synthetic",
        data_dir=str(folder / "data"),
    )
    prepare(config.image_set, config.data_dir)
    paths = [folder / "one.pb", folder / "other.pb"]
    for path in paths:
        toys.write_frozen(path)
    return State.create(config), config, paths


@pytest.fixture
def run(networks, tmp_path):
    """A run with checkpoints of steps 10 and 20."""
    found = RunDirectory(tmp_path / "run")
    for step in (10, 20):
        save(found, networks[0], step)
    return found


def save(run, state, step, keep=2):
    state.step.assign(step)
    state.ema_generator.trainable_variables[0].assign_add(
        tf.ones_like(state.ema_generator.trainable_variables[0])
    )
    Checkpoints(run.checkpoints, state, keep).save()


def score(run, networks, checkpoint, load=load_generator, data_dir=None):
    _, config, paths = networks
    settings = Settings(
        extractors=tuple(ExtractorChoice("inception", str(path)) for path in paths),
        protocol=PROTOCOL,
        count=50,
        batch_size=32,
        strategy="mirrored",
        replicas=1,
        checkpoint=CheckpointChoice.parse(checkpoint),
        ema=True,
        batch_norm="moving",
        seed=2,
        real_statistics=None,
        save_statistics=None,
    )
    config = dataclasses.replace(config, data_dir=str(data_dir or config.data_dir))
    return evaluate_run(run, config, settings, load)


@pytest.fixture
def training(run, networks, monkeypatch):
    """Training continues while the first extractor is made: a step is written, and one removed."""
    make_scorer, steps = scoring.make_scorer, iter([30])

    def make_while_training(*arguments):
        for step in steps:
            save(run, networks[0], step)
        return make_scorer(*arguments)

    monkeypatch.setattr(scoring, "make_scorer", make_while_training)


def test_the_newest_is_chosen_when_extractors_are_ready_and_is_the_same_for_all(
    training, run, networks
):
    loaded = []

    def load(config, path, ema):
        loaded.append(pathlib.Path(path).name)
        return load_generator(config, path, ema)

    found = score(run, networks, "newest", load)
    assert loaded == ["step-30"]
    ((step, rows),) = found.scores.items()
    assert (step, found.is_complete, found.unrecorded) == (30, True, {})
    assert {row["checkpoint"] for row in rows} == {"checkpoints/step-30"}
    assert [row["value"] for row in rows[:6]] == [row["value"] for row in rows[6:]]
    assert {row["step"] for row in run.rows("metrics.jsonl")} == {30}


@pytest.mark.slow
def test_of_all_what_is_there_when_they_are_read_is_scored(run, networks, capsys):
    def load(config, path, ema):
        if path.endswith("-10"):
            save(run, networks[0], 30, keep=1)
        return load_generator(config, path, ema)

    save(run, networks[0], 25, keep=3)
    assert list(score(run, networks, "all", load).scores) == [30]
    notes = [
        f"note: training has removed step {step} meanwhile; leaving it out" for step in (10, 20, 25)
    ]
    assert [line for line in capsys.readouterr().err.splitlines() if line[:5] == "note:"] == notes
    save(run, networks[0], 40)

    def load_first(config, path, ema):
        result = load_generator(config, path, ema)
        save(run, networks[0], 50)
        return result

    found = score(run, networks, "all", load_first)
    assert (list(found.scores), found.is_complete) == ([30, 40], True)


def test_damaged_ones_are_left_out_of_all_and_the_newest_falls_back(run, networks, capsys):
    (data,) = run.checkpoints.glob("step-20.data*")
    data.write_bytes(data.read_bytes()[:-1])
    found = score(run, networks, "all")
    assert (list(found.scores), found.is_complete) == ([10], False)
    assert "has changed; leaving it out\n" in capsys.readouterr().err
    found = score(run, networks, "newest")
    assert (list(found.scores), found.is_complete) == ([10], True)
    assert f"has changed; using {run.checkpoints}/step-10\n" in capsys.readouterr().err


def test_all_processes_fail_if_one_does(monkeypatch):
    cluster = Cluster()
    monkeypatch.setattr(cluster, "any_process", lambda flags: [True])
    with pytest.raises(RunError, match="checkpoint step-1 cannot be read by another process"):
        share_failures(cluster, lambda path: path)("step-1")
    assert share_failures(Cluster(), lambda path: path)("step-1") == "step-1"


@pytest.mark.slow
def test_scores_that_cannot_be_recorded_are_returned(run, networks):
    (run.path / "metrics.jsonl").mkdir()
    found = score(run, networks, "all")
    assert {step: len(rows) for step, rows in found.scores.items()} == {10: 12, 20: 12}
    distances = [rows[0]["value"] for rows in found.scores.values()]
    assert distances[0] != distances[1]  # Each step has weights of its own.
    assert found.unrecorded.keys() == {10, 20}
    assert "Is a directory" in found.unrecorded[10]
    (run.path / "metrics.jsonl").rmdir()
    (run.path / "tensorboard").write_text("")
    again = score(run, networks, "20")
    assert again.unrecorded.keys() == {20}
    values = [[row["value"] for row in each.scores[20]] for each in (found, again)]
    assert values[0] == values[1]


def unwritable(data_dir, name):
    """A copy of the data in which folder `name` is a file."""
    shutil.copytree(data_dir, copy := data_dir.with_name(f"without_{name}"))
    shutil.rmtree(copy / name, ignore_errors=True)
    (copy / name).write_text("")
    return copy


def test_features_that_cannot_be_written_are_used_from_memory(run, networks, capsys):
    data_dir = unwritable(pathlib.Path(networks[1].data_dir), "features")
    found = [score(run, networks, "20", data_dir=data_dir).scores[20]]
    notes = [line for line in capsys.readouterr().err.splitlines() if line[:5] == "note:"]
    assert len(notes) == 2  # One for each extractor.
    assert all("features cannot be kept for the next command: " in note for note in notes)
    found.append(score(run, networks, "20").scores[20])
    assert "note:" not in capsys.readouterr().err
    values = [[row["value"] for row in rows] for rows in found]
    assert values[0] == values[1]
    assert found[0][0]["data_sha256"] == found[1][0]["data_sha256"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Images, labels, their hash, and a folder in which no network can be written."""
    monkeypatch.setattr(trained, "STEPS", 2)
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for task in BOTH:
        (tmp_path / "data" / task.folder).write_text("")
    images = rng.integers(0, 256, (100, 16, 16, 1), np.uint8)
    yield images, rng.integers(0, 2, 100), "0" * 64, tmp_path / "data"
    UNWRITTEN.clear()


@pytest.mark.parametrize("task", BOTH, ids=lambda task: task.name)
def test_a_network_that_cannot_be_written_is_trained_once(
    task, data, tmp_path, capsys, monkeypatch
):
    train_once(task, *data)
    monkeypatch.setattr(trained, "train_network", None)
    made = [train_extractor(task, *data, tf.distribute.get_strategy()) for _ in range(2)]
    note = capsys.readouterr().err
    assert note.startswith(f"note: the {task.noun} cannot be kept for the next command: ")
    assert note.count("\n") == 1
    monkeypatch.undo()
    monkeypatch.setattr(trained, "STEPS", 2)
    written = train_extractor(task, *data[:3], tmp_path / "other", tf.distribute.get_strategy())
    assert made[0].record == made[1].record == written.record


def test_a_full_disk_does_not_lose_the_trained_classifier(data, tmp_path, monkeypatch):
    train_network, calls = trained.train_network, []

    def count(*arguments):
        calls.append(arguments)
        return train_network(*arguments)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trained, "train_network", count)
    monkeypatch.setattr(np, "savez", fail)
    path = train_once(CLASSES, *data[:3], tmp_path / "full")
    assert len(calls) == 1
    assert not path.exists()
    assert path in UNWRITTEN


@pytest.mark.parametrize("task", BOTH, ids=lambda task: task.name)
def test_every_process_gets_the_network_that_was_not_written(task, data):
    train_once(task, *data)
    path = network_path(task, *data[2:])
    kept, sent = UNWRITTEN[path], []

    def send(value):
        sent.append(value)
        return value

    chief = types.SimpleNamespace(is_chief=True, broadcast=send)
    broadcast_unwritten(chief, path)
    assert UNWRITTEN[path] is kept
    UNWRITTEN.clear()
    other = types.SimpleNamespace(is_chief=False, broadcast=lambda _: sent.pop(0))
    broadcast_unwritten(other, path)
    assert UNWRITTEN[path].keys() == kept.keys()
    for name, array in kept.items():
        np.testing.assert_array_equal(UNWRITTEN[path][name], array.astype(np.float32))
    assert max(len(str(array.tobytes())) for array in kept.values()) < 2**22
    assert scorer.UNWRITTEN is UNWRITTEN
