"""Runs that earlier versions wrote: every command works on them, and no number changes.

Each folder of `fixtures` is a run of 20 steps, named after the version that wrote it; CONTRIBUTING
says how the next one is added.
"""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image
from process import assert_one_line, rows, run

from keras_sagan.config import Config
from keras_sagan.rules import ALWAYS
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest

FIXTURES = pathlib.Path(__file__).with_name("fixtures")
VERSIONS = pytest.mark.parametrize("version", sorted(path.name for path in FIXTURES.iterdir()))
ADDED = {
    field.name: field.metadata["before"]
    for field in dataclasses.fields(Config)
    if field.metadata["before"] is not ALWAYS
}
# Fields of the fixtures that have another value than was the behavior before the field existed.
OTHER_VALUES = {"eval_every"}


@pytest.fixture(scope="module")
def whole_classifier(tmp_path_factory):
    """A folder of data in which the classifier is trained to its end, as when it scored them."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def earlier(version, tmp_path):
    """A copy of the version's run."""
    return pathlib.Path(shutil.copytree(FIXTURES / version, tmp_path / "run"))


def succeed(command, *flags):
    code, out, err = run(command, *flags)
    assert code == 0, err
    return out


def change(run_dir, **changes):
    """Gives fields of config.json other values; `None` removes them."""
    path = run_dir / "config.json"
    values = json.loads(path.read_text()) | changes
    kept = {name: value for name, value in values.items() if value is not None}
    path.write_text(json.dumps(kept))


def assert_sampled(run_dir, tmp_path):
    """The grid is the one that the run drew, up to rounding on another processor."""
    grid = tmp_path / "grid.png"
    out = succeed("sample", f"--run_dir={run_dir}", f"--output={grid}")
    assert out.startswith("80 images of step 20")
    images = [np.asarray(Image.open(path), int) for path in (grid, *run_dir.glob("samples/*.png"))]
    assert np.abs(images[0] - images[1]).max() <= 1


@VERSIONS
def test_samples_are_those_that_the_run_drew(earlier, tmp_path):
    assert_sampled(earlier, tmp_path)


@pytest.mark.slow_except("0.1.0")
@VERSIONS
def test_a_page_of_attention_is_drawn(earlier, tmp_path):
    page = tmp_path / "attention.html"
    succeed("explore", f"--run_dir={earlier}", f"--output={page}", "--checkpoint=all")
    assert "gamma over training, to step 20" in page.read_text()


@pytest.mark.slow_except("0.1.0")
@VERSIONS
def test_every_kind_of_export_is_written(earlier, tmp_path):
    given = [f"--run_dir={earlier}", f"--export_dir={tmp_path}", "--checkpoint=best"]
    succeed("export", *given)
    succeed("export", *given, "--format=keras")
    assert (tmp_path / "10" / "saved_model.pb").exists()
    assert (tmp_path / "10.keras").exists()


@pytest.mark.slow
@VERSIONS
def test_it_is_scored_and_resumed(version, earlier, whole_classifier):
    """Rows of the earlier version stay; new ones stand after them."""
    place = [f"--run_dir={earlier}", f"--data_dir={whole_classifier}"]
    scores = rows(earlier / "metrics.jsonl")
    out = succeed("evaluate", *place, "--num_samples=100")
    assert out.startswith(f"step 20 of {earlier}\n")
    scored = rows(earlier / "metrics.jsonl")
    assert scored[: len(scores)] == scores
    # Of the same fakes and, on a processor as that one, the same classifier.
    before = [row["value"] for row in scores if row["step"] == 20]
    np.testing.assert_allclose([row["value"] for row in scored[len(scores) :]], before, rtol=0.2)
    records = rows(earlier / "train.jsonl")
    command = json.loads((earlier / "environment.json").read_text())["command"][1:]
    out = succeed("train", *command, *place, "--total_steps=30")
    assert out.startswith("trained to step 30: ")
    resumed = rows(earlier / "train.jsonl")
    assert resumed[: len(records)] == records
    assert [row["step"] for row in resumed] == [5, 10, 15, 20, 25, 30]
    losses = np.array([[row["d_loss"], row["g_loss"]] for row in resumed])
    assert np.isfinite(losses).all()
    # It goes on where it was: no loss jumps back to that of random weights.
    assert losses[4, 0] < losses[0, 0]
    assert [row["step"] for row in rows(earlier / "scores.jsonl")] == [10, 20, 30]
    starts = json.loads((earlier / "environment.json").read_text())
    assert (starts["step"], starts["earlier"][0]["step"]) == (20, 0)
    checked = succeed("train", "--check", f"--run_dir={earlier}")
    assert "is complete and finite" in checked
    expected = digest(newest_checkpoint(earlier / "checkpoints"))
    assert f"digest: {expected}" in checked.splitlines()


@VERSIONS
@pytest.mark.parametrize("name", ADDED)
def test_a_field_that_is_lacking_has_the_value_that_was_the_behavior(version, name):
    text = (FIXTURES / version / "config.json").read_text()
    values, config = json.loads(text), Config.from_json(text)
    assert values.pop(name, ADDED[name]) == ADDED[name] or name in OTHER_VALUES
    expected = dataclasses.replace(config, **{name: ADDED[name]})
    assert Config.from_json(json.dumps(values)) == expected


@VERSIONS
def test_a_run_without_any_field_that_was_added_is_sampled_alike(earlier, tmp_path):
    change(earlier, **dict.fromkeys(ADDED), version=None)
    assert_sampled(earlier, tmp_path)


@VERSIONS
@pytest.mark.parametrize("command", ["sample", "evaluate", "export", "explore", "train"])
@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"g_wings": 2}, "Received: g_wings, written by version"),
        ({"version": "99.0.0"}, "Received: version 99.0.0"),
    ],
)
def test_what_this_version_does_not_know_is_one_line(
    version, earlier, tmp_path, command, changes, part
):
    change(earlier, **changes)
    more = [f"--export_dir={tmp_path / 'out'}"] if command == "export" else []
    result = run(command, f"--run_dir={earlier}", *more)
    assert_one_line(result, 2, f"{earlier}/config.json", part)
