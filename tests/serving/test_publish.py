"""A version is there whole or not at all, whatever happens while it is written."""

import fcntl
import json
import pathlib
import subprocess
import threading

import forks
import keras
import numpy as np
import pytest
import tensorflow as tf
from exports import FOLDER, NEWEST, export, random_run, sampled
from kills import visible

from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import UNFINISHED
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import Checkpoints, load_generator
from keras_sagan.sampling.sampler import latents_of
from keras_sagan.serving import archive
from keras_sagan.serving.archive import Settings, export_run
from keras_sagan.serving.publish import new_version
from keras_sagan.training.state import State
from keras_sagan.values import CheckpointChoice

KILLS = 20


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return random_run(tmp_path_factory.mktemp("runs") / "run", image_channels=1)


@pytest.mark.slow
def test_killed_exports_leave_no_half_version(run, tmp_path):
    command = [forks.executable(), FOLDER / "kills.py", run.path, tmp_path, str(KILLS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    reports = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(reports) == KILLS
    there = sum(report["there"] for report in reports)
    assert 0 < there < KILLS  # Moments on both sides of the rename.
    names = {path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*")}
    assert {pathlib.Path("saved_model.pb"), pathlib.Path("README.md")} < names
    for report in reports:
        whole = without_card(report["files"].pop("1"))
        assert all(without_card(files) == whole for files in report["files"].values())
    # What a kill leaves, the next export removes.
    assert max(report["unfinished"] for report in reports) == 1
    export(run, tmp_path, version=100)
    assert not list(tmp_path.glob(UNFINISHED + "*"))
    assert visible(tmp_path)["100"].keys() == visible(tmp_path)["1"].keys()


def without_card(files):
    """Sizes of what does not have the version's number in it."""
    return {name: size for name, size in files.items() if name != "README.md"}


def test_version_appears_when_it_is_whole(tmp_path):
    with new_version(tmp_path, "7", {"a.config": "text"}) as path:
        path.mkdir()
        (path / "part").write_text("")
        assert [entry.name for entry in tmp_path.iterdir() if entry.name[0] != "."] == ["a.config"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".lock", "7", "a.config"]
    assert [entry.name for entry in (tmp_path / "7").iterdir()] == ["part"]


def test_failure_leaves_nothing(tmp_path):
    def fail():
        with new_version(tmp_path, "7") as path:
            path.mkdir()
            raise OSError("no room")

    with pytest.raises(RunError, match=r"7 cannot be written: no room"):
        fail()
    assert [entry.name for entry in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("kind", ["folder", "empty", "file", "dangling"])
def test_version_that_exists_is_refused(kind, tmp_path):
    final = tmp_path / "7"
    if kind == "dangling":
        final.symlink_to(tmp_path / "nowhere")
    elif kind == "file":
        final.write_text("mine")
    else:
        final.mkdir()
        if kind == "folder":
            (final / "saved_model.pb").write_text("mine")
    with (
        pytest.raises(UsageError, match=r"does not exist yet.*Received: .*7$"),
        new_version(tmp_path, "7"),
    ):
        pytest.fail("it was to be written")
    if kind == "folder":
        assert (final / "saved_model.pb").read_text() == "mine"


def test_second_export_waits_for_the_first(tmp_path, capsys, monkeypatch):
    first_writes, go_on = threading.Event(), threading.Event()
    flock = fcntl.flock

    def noted(file, operation):
        if not operation & fcntl.LOCK_NB:  # The second one has been refused, and waits.
            go_on.set()
        flock(file, operation)

    def first():
        with new_version(tmp_path, "1") as path:
            path.mkdir()
            first_writes.set()
            go_on.wait(600)

    thread = threading.Thread(target=first)
    thread.start()
    first_writes.wait(600)
    monkeypatch.setattr(fcntl, "flock", noted)
    with new_version(tmp_path, "2") as path:
        assert (tmp_path / "1").exists()
        path.mkdir()
    thread.join()
    assert capsys.readouterr().err == "waiting: another process exports here\n"
    assert {"1", "2"} < {entry.name for entry in tmp_path.iterdir()}


def test_settings_of_the_server_are_not_written_over(run, tmp_path):
    export(run, tmp_path)
    texts = {path: path.read_text() for path in tmp_path.glob("*.*") if path.is_file()}
    (tmp_path / "batching.config").write_text("# mine\n")
    (tmp_path / "models.config").unlink()
    export(run, tmp_path, version=3)
    assert (tmp_path / "batching.config").read_text() == "# mine\n"
    assert (tmp_path / "models.config").read_text() == texts[tmp_path / "models.config"]


def test_another_name_than_that_of_models_config_is_told(run, tmp_path):
    def notes(model, version):
        settings = Settings(tmp_path, "saved_model", NEWEST, True, version, model)
        return export_run(run, run.read_config(), settings)[2]

    assert notes("sagan", 1) == []
    (note,) = notes("other", 2)
    assert note == "the existing models.config names no model other"
    (tmp_path / "models.config").write_text("model_config_list { config { name: 'other' } }")
    assert notes("other", 3) == []


def test_keras_file_loads_with_safe_mode(run, tmp_path):
    path = export(run, tmp_path, format="keras")
    assert path == tmp_path / "20.keras"
    assert {entry.name for entry in tmp_path.iterdir()} == {".lock", "20.keras"}
    generator = keras.saving.load_model(path, safe_mode=True)
    seeds, labels = [3, 4], [1, 9]
    latents = np.concatenate([latents_of(seed, 1, 4) for seed in seeds])
    images = np.round(generator(latents, np.array(labels)) * 127.5 + 127.5)
    assert np.abs(images - sampled(run, labels, seeds)).max() <= 1
    assert not any(variable.path.endswith("vector_u") for variable in generator.variables)
    with pytest.raises(UsageError, match="does not exist yet"):
        export(run, tmp_path, format="keras")


def test_weights_are_those_asked_for(run, tmp_path):
    path = newest_checkpoint(run.checkpoints)
    for version, ema in ((1, True), (2, False)):
        folder = export(run, tmp_path, ema=ema, version=version)
        written = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        generator, _ = load_generator(run.read_config(), path, ema)
        scale = written.get_tensor("generator/output_norm/scale")
        np.testing.assert_array_equal(scale, generator.output_norm.scale)


@pytest.mark.slow
def test_checkpoint_that_training_removes_is_followed_by_the_next(tmp_path, monkeypatch):
    """The newest one goes while it is read, as when training keeps but one."""
    run = random_run(tmp_path / "run", image_channels=1)
    state = State.create(run.read_config())
    restore_weights = archive.restore_weights
    read = []

    def read_while_training(generator, path, ema):
        read.append(pathlib.Path(path).name)
        if len(read) == 1:
            state.step.assign(30)
            Checkpoints(run.checkpoints, state, keep=1).save()
        return restore_weights(generator, path, ema)

    monkeypatch.setattr(archive, "restore_weights", read_while_training)
    assert export(run, tmp_path / "export").name == "30"
    assert read == ["step-20", "step-30"]
    with pytest.raises(UsageError, match=r"one of \[30\]. Received: 20"):
        export(run, tmp_path / "export", checkpoint=CheckpointChoice((20,)))
