"""The images of a run that began: which they are, and whether the user's files have changed."""

import json
import math
import shutil

import pytest
from images import fill, prepare_config

from keras_sagan.config import Config
from keras_sagan.data import stamps, versions
from keras_sagan.errors import UsageError
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.run_data import open_run_data
from keras_sagan.training.records import best_recorded

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "photos", ["a.png", "b.png", "c.png"])


def begin(dataset, tmp_path):
    """A run that began with the images of `dataset`: its directory, `Config` and images."""
    config = Config(
        dataset=dataset, image_size=16, data_dir=str(tmp_path / "data"), max_bad_fraction=0.5
    )
    prepared = prepare_config(config)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.write_config(config)
    (run.path / "environment.json").write_text(json.dumps({"data": prepared.summary}))
    return run, config, prepared


def test_a_set_of_the_same_content_is_no_change(folder, tmp_path, capfd):
    prepare_config(begin(f"folder:{folder}", tmp_path)[1])
    shutil.rmtree(tmp_path / "run")
    path = shutil.make_archive(str(tmp_path / "z"), "zip", folder)
    run, config, _ = begin(f"zip:{path}", tmp_path)
    open_run_data(run, config)
    assert "has changed" not in capfd.readouterr().err


def test_versions_of_the_same_content_are_no_change(folder, tmp_path, capfd):
    run, config, before = begin(f"folder:{folder}", tmp_path)
    (folder / "broken.png").write_bytes(b"")
    after = prepare_config(config, renew=True)
    assert after.directory != before.directory
    assert after.record["sha256"] == before.record["sha256"]
    capfd.readouterr()
    open_run_data(run, config)
    assert "has changed" not in capfd.readouterr().err
    fill(folder, ["d.png"])
    open_run_data(run, config)
    assert "has changed since this run began (1 added, e.g. d.png)" in capfd.readouterr().err


@pytest.mark.parametrize("record", [None, "{", '{"files": []}'])
def test_a_run_needs_no_record_of_files(record, folder, tmp_path, monkeypatch):
    run, config, prepared = begin(f"folder:{folder}", tmp_path)
    if record is None:  # As of an earlier version: there is nothing to compare with.
        (prepared.directory / stamps.NAME).unlink()
        monkeypatch.setattr(versions, "open_source", None)
    else:
        (prepared.directory / stamps.NAME).write_text(record)
    assert open_run_data(run, config).directory == prepared.directory


def test_classes_that_cannot_be_compared_are_said(tmp_path, capfd):
    folder = fill(tmp_path / "pets", ["cats/a.png", "dogs/b.png"])
    run, config, prepared = begin(f"folder:{folder}", tmp_path)
    (folder / "cats").rename(folder / "cows")
    with pytest.raises(UsageError, match=r"classes of the run, cats, dogs\. Received: cows, dogs"):
        open_run_data(run, config, renew=True)
    shutil.rmtree(prepared.directory)
    open_run_data(run, config, renew=True)
    said = "are gone: make sure that it had the same classes: 0 cows, 1 dogs"
    assert said in capfd.readouterr().err


def test_the_best_score_is_of_the_present_images(tmp_path):
    run = RunDirectory(tmp_path)
    for step, score in ((10, 5.0), (20, 3.0), (30, 8.0), (40, 9.0)):
        run.append("scores.jsonl", {"step": step, "score": score})
    for starts, best in (
        ([(0, "a")], 3.0),
        ([(0, "a"), (20, "a")], 3.0),
        ([(0, "a"), (20, "b")], 8.0),
        ([(0, "a"), (10, "b"), (30, "a"), (35, "a")], 9.0),
        ([(0, "a"), (40, "b")], math.inf),
    ):
        records = [{"step": step, "data": {"sha256": data}} for step, data in starts]
        text = json.dumps({**records[-1], "earlier": records[:-1]})
        (tmp_path / "environment.json").write_text(text)
        assert best_recorded(run, "score") == best
