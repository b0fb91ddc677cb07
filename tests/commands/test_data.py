"""Image sets from the command line: prepared, trained on, sampled."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from process import (
    FEW_STEPS,
    SIMPLE,
    TINY,
    assert_one_line,
    flags,
    rows,
    run,
    train,
    without_privileges,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with two classes of unequal size, and a file that is no image."""
    folder = tmp_path_factory.mktemp("own") / "photos"
    draw = np.random.default_rng(0)
    for name, count in (("cats", 30), ("dogs", 10)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = draw.integers(0, 256, (30, 20, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    (folder / "dogs" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def prepare(photos, data_dir, *more):
    settings = [f"--dataset=folder:{photos}", f"--data_dir={data_dir}", "--image_size=16"]
    return run("prepare", *settings, "--max_bad_fraction=0.1", *more)


def test_prepare_says_what_it_made_and_draws_it(photos, tmp_path):
    preview = tmp_path / "new" / "preview.png"
    code, out, err = prepare(photos, tmp_path, f"--preview={preview}")
    assert code == 0, err
    assert "40 images; classes: 0 cats (30), 1 dogs (10)\n" in out
    assert "left out: 1 unreadable, see dataset.json: dogs/broken.jpg (" in out
    assert f"preview, one row each of cats, dogs: {preview}" in out
    assert "left out: dogs/broken.jpg: " in err
    (directory,) = (tmp_path / "prepared").glob("photos-16x16x3-*")
    images, labels = (np.load(directory / f"{name}.npy") for name in ("images", "labels"))
    grid = np.asarray(Image.open(preview))[::4, ::4]
    for label in (0, 1):
        row = grid[17 * label : 17 * label + 16]
        for i, image in enumerate(images[labels == label][:8]):
            np.testing.assert_array_equal(row[:, 17 * i : 17 * i + 16], image)
    again = prepare(photos, tmp_path)
    assert again[0] == 0
    assert "left out: dogs" not in again[2]  # It was not read again.


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (["--dataset=cifar_10"], ["Did you mean: cifar10"]),
        ([f"--dataset=folder:{'x' * 300}"], ["cannot be read", "File name too long"]),
        (["--dataset=folder:nowhere"], ["of a folder. Received: folder:nowhere"]),
        (["--max_bad_fraction=2"], ["max_bad_fraction must be in [0, 1]. Received: 2.0"]),
        (["--num_classes=3", "--dataset=synthetic", "--image_size=8"], ["Received: 8"]),
        (["--dataset=imagenet2012"], ["imagenet2012: Manual directory", "image-net.org"]),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, given, parts):
    result = run("prepare", f"--data_dir={tmp_path}", f"--tfds_dir={tmp_path}", *given)
    code, out, err = result
    said = "Downloading and preparing dataset"  # By TensorFlow Datasets.
    kept = "".join(line for line in err.splitlines(keepends=True) if said not in line)
    assert_one_line((code, out, kept), 2, *parts)


@pytest.mark.slow_except("photos/cats")
@pytest.mark.parametrize("part", ["photos", "photos/cats", "data", "data/prepared"])
def test_a_folder_without_permission_is_one_line(part, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "data" / "prepared").mkdir(parents=True)
    (tmp_path / part).chmod(0)
    given = [f"--dataset=folder:{tmp_path}/photos", f"--data_dir={tmp_path}/data", *TINY]
    command = [sys.executable, "-m", "keras_sagan.prepare", *given]
    options = {"capture_output": True, "text": True, "preexec_fn": without_privileges}
    result = subprocess.run(command, check=False, **options)
    assert result.returncode in (1, 2)
    ended = result.returncode, result.stdout, result.stderr
    assert_one_line(ended, result.returncode, "Permission denied", pathlib.Path(part).name)


def test_preview_that_cannot_be_written_is_named(photos, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = prepare(photos, tmp_path, f"--preview={tmp_path}/file/a.png")
    assert code == 1
    assert "cannot be written" in err.splitlines()[-1]


def test_folder_is_trained_on_with_its_own_classes(photos, tmp_path):
    run_dir, more = tmp_path / "run", [f"--dataset=folder:{photos}", "--total_steps=2"]
    more += [*SIMPLE, "--max_bad_fraction=0.1", "--fake_labels=data", "--flip"]
    _, err = train(run_dir, tmp_path, *more)
    assert "40 images; classes: 0 cats (30), 1 dogs (10)\nleft out: 1 unreadable" in err
    assert json.loads((run_dir / "config.json").read_text())["num_classes"] == 2
    data = json.loads((run_dir / "environment.json").read_text())["data"]
    assert (data["count"], data["source"]) == (40, "folder photos")
    place = [f"--run_dir={run_dir}", f"--output={tmp_path / 'grid.png'}"]
    code, out, err = run("sample", *place, "--labels=DOGS,0")
    assert code == 0, err
    assert "one row for each label of [1, 0]" in out
    assert out.endswith("\nclasses: 0 cats, 1 dogs\n")
    train(run_dir, tmp_path, *more)  # Goes on, though its flags leave the classes to the data.
    picture = Image.open(photos / "cats" / "0.png")
    picture.save(photos / "cats" / "another.png")
    result = run("train", *flags(tmp_path / "new", tmp_path, *more))
    assert_one_line(result, 2, "have changed since they were prepared", "keras_sagan.prepare")
    _, err = train(run_dir, tmp_path, *more)
    assert (
        err.count("since this run began (1 added, e.g. cats/another.png), and the run keeps") == 1
    )
    (before,) = (tmp_path / "prepared").glob("photos-16x16x1-*")
    before.rename(tmp_path / "elsewhere")
    assert prepare(photos, tmp_path, "--image_channels=1")[0] == 0
    result = run("train", *flags(run_dir, tmp_path, *more))
    assert_one_line(result, 2, "began with other images than folder:", "use another run_dir")


@pytest.mark.slow
def test_coherence_of_symmetry_is_recorded_and_printed(tmp_path):
    more = [*SIMPLE, "--dataset=symmetry:40", "--image_channels=3", "--total_steps=2"]
    train(tmp_path / "run", tmp_path, *more, "--checkpoint_every=1")
    scores = [row["coherence512"] for row in rows(tmp_path / "run" / "scores.jsonl")]
    assert len(scores) == 2
    assert all(-1 <= score <= 1 for score in scores)
    code, out, err = run("sample", f"--run_dir={tmp_path / 'run'}", f"--output={tmp_path}/a.png")
    assert code == 0, err
    assert out.startswith("coherence: ")
    assert abs(float(out.split()[1])) < 1
    given = [f"--run_dir={tmp_path / 'run'}", "--num_samples=40"]
    code, out, err = run("evaluate", *given, first=FEW_STEPS)
    assert code == 0, err
    (row,) = [
        row for row in rows(tmp_path / "run" / "metrics.jsonl") if "coherence" in row["metric"]
    ]
    assert (row["metric"], row["n_fake"]) == ("coherence40", 40)
    assert "\ncoherence40 " in out
    assert -1 < row["value"] < 0.9
