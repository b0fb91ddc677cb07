"""The flag `--labels` against the classes of a run, wherever its data are."""

import dataclasses
import json
import types

import pytest
import smallest

from keras_sagan import commands
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.runs.directory import RunDirectory

NAMES = ["ant", "bee", "Käfer"]


@pytest.fixture
def run(tmp_path):
    """A run that began with data of three classes, and its configuration."""
    config = Config(**smallest.NETWORKS, num_classes=3, data_dir=str(tmp_path / "data"))
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.write_config(config)
    data = {"sha256": "ab" * 32, "image_shape": [16, 16, 1], "classes": NAMES, "counts": [1, 2, 3]}
    (tmp_path / "data" / "prepared" / "insects").mkdir(parents=True)
    (tmp_path / "data" / "prepared" / "insects" / "dataset.json").write_text(json.dumps(data))
    paths = {"run_dir": str(run.path), "data_dir": config.data_dir}
    environment = {"data": {"sha256": data["sha256"]}, "paths": paths}
    (run.path / "environment.json").write_text(json.dumps(environment))
    return run, config


@pytest.fixture
def ask(monkeypatch):
    """How a command reads `--labels`."""

    def ask(run, config, labels):
        given = types.SimpleNamespace(FLAGS=types.SimpleNamespace(labels=labels))
        monkeypatch.setattr(commands, "flags", given)
        return commands.class_labels(run, config)

    return ask


def test_labels_are_of_the_runs_own_classes(run, ask):
    assert ask(*run, ["BEE", "2", "käfer"]) == ([1, 2, 2], NAMES)
    assert ask(*run, None) == (None, NAMES)
    with pytest.raises(UsageError, match=r"^--labels must be .*: ant, bee, Käfer. Received: cat$"):
        ask(*run, ["cat"])


def test_without_the_data_numbers_are_taken_and_a_name_is_refused_with_the_reason(run, ask):
    moved, config = run
    config = dataclasses.replace(config, data_dir=str(moved.path / "none"))
    assert ask(moved, config, ["2", "0"]) == ([2, 0], None)
    with pytest.raises(UsageError, match=r"0\.\.\.2, because .* \(--data_dir .* Received: bee$"):
        ask(moved, config, ["bee"])


def test_a_damaged_record_hides_only_the_names(run, ask):
    (run[0].path / "environment.json").write_text("[]")
    assert ask(*run, ["1"]) == ([1], None)


def test_a_run_without_classes_takes_no_labels(run, ask):
    config = dataclasses.replace(run[1], num_classes=0)
    assert ask(run[0], config, None) == (None, [])
    with pytest.raises(UsageError, match=r"^--labels needs a run with classes. Received: ant,0$"):
        ask(run[0], config, ["ant", "0"])
