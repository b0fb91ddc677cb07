"""Runs, data and exports of any name and in any place, and places that are none."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import smallest
import tensorflow as tf
from PIL import Image
from process import FEW_STEPS, SIMPLE, TINY, assert_one_line, environment, run, start

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.errors import UsageError
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest, load_generator
from keras_sagan.serving.archive import Settings, export_run
from keras_sagan.training.run import train
from keras_sagan.values import CheckpointChoice, local_path

NAMES = [
    "lr[1e-4]",
    "a*b?",
    "{x},$HOME#% quo'te\"d ü 猫\nline",
    "back\\slash",
    "~",
    "-" + "x" * 199,
]
FIELDS = smallest.RUN | smallest.DCGAN | {"dataset": "synthetic", "num_classes": 3}
NEWEST = CheckpointChoice.parse("newest")


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The digest of two steps in a folder with a plain name."""
    folder = tmp_path_factory.mktemp("plain")
    run = train(Config(**FIELDS, total_steps=2, data_dir=str(folder / "data")), folder / "run")
    return digest(newest_checkpoint(run.checkpoints))


@pytest.mark.slow_except("lr[1e-4]")
@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_any_name_is_resumed_and_exported(name, straight, tmp_path):
    top = tmp_path / name
    config = Config(**FIELDS, total_steps=1, data_dir=str(top / "data"))
    train(config, top / name)
    run = train(dataclasses.replace(config, total_steps=2), top / name)
    path = newest_checkpoint(run.checkpoints)
    assert digest(path) == straight
    assert load_generator(config, path)[1] == 2
    fields = {"format": "saved_model", "checkpoint": NEWEST, "ema": True, "version": None}
    if "[" in name or "\\" in name:
        with pytest.raises(UsageError, match=r"^export_dir must have neither \[ nor"):
            Settings(top / "export", **fields, model="sagan")
        return
    settings = Settings(top / "export", **fields, model="sagan")
    version, step, _ = export_run(run, run.read_config(), settings)
    assert step == 2
    served = tf.saved_model.load(str(top / "export" / version)).signatures["serving_default"]
    one = tf.constant([1], tf.int64)
    assert served(labels=one, seeds=one)["images"].shape == (1, 16, 16, 1)


@pytest.mark.slow_except("lr[1e-4]")
@pytest.mark.parametrize("name", NAMES)
def test_data_of_any_name_are_prepared(name, tmp_path):
    for dataset in ("symmetry:8", "synthetic"):
        fields = smallest.NETWORKS | {"dataset": dataset, "data_dir": str(tmp_path / name)}
        config = Config(**fields)
        prepare(config.image_set, config.data_dir).verify()


def test_the_home_folder_is_expanded_alike(tmp_path):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for folder in (home, elsewhere):
        folder.mkdir()
    flags = ["--run_dir=~/runs/a", "--data_dir=~/data", "--dataset=synthetic", *TINY, *SIMPLE]
    more = [["train", *flags, "--total_steps=1"]]
    more += [["sample", "--run_dir=~/runs/a", "--output=~/new/grid.png"]]
    more += [["export", "--run_dir=~/runs/a", "--export_dir=~/exports"]]
    for command in more:
        process = start(*command, cwd=elsewhere, env=environment() | {"HOME": str(home)})
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    assert not list(elsewhere.iterdir())
    assert {path.name for path in home.iterdir()} == {"runs", "data", "new", "exports"}


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("train", "run_dir=gs://bucket/run"),
        ("train", "data_dir=s3://bucket/data"),
        ("prepare", "preview=hdfs://a/b.png"),
        ("sample", "output=gs://bucket/grid.png"),
        ("export", "export_dir=https://example.org/models"),
        ("evaluate", "compare=gs://bucket/run"),
    ],
)
def test_addresses_are_no_paths(command, flag, tmp_path):
    given = [f"--run_dir={tmp_path}"] if command != "prepare" else []
    result = run(command, *given, f"--{flag}", cwd=tmp_path)
    assert_one_line(result, 2, "must be a path on this machine", f"Received: {flag}")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow_except("train run_dir", "explore data_dir")
@pytest.mark.parametrize(
    ("command", "flag"),
    [
        *(("train", flag) for flag in ("run_dir", "data_dir", "dataset=folder:")),
        *(("sample", flag) for flag in ("run_dir", "output", "format=html data_dir")),
        *(("explore", flag) for flag in ("run_dir", "output", "data_dir")),
        *(("evaluate", flag) for flag in ("run_dir", "data_dir", "compare")),
        ("export", "export_dir"),
        *(("prepare", flag) for flag in ("data_dir", "dataset=folder:")),
    ],
    ids=lambda value: value,
)
def test_a_path_that_is_too_long_is_one_line(command, flag, finished, tmp_path):
    given = {"train": [*TINY, f"--run_dir={tmp_path / 'run'}", f"--data_dir={tmp_path}"]}
    more = given.get(command, [f"--run_dir={finished[0]}"] if command != "prepare" else TINY)
    *others, flag = flag.split()
    flag = f"--{flag}{'' if '=' in flag else '='}{tmp_path}/{'x' * 300}"
    result = run(command, *more, *(f"--{other}" for other in others), flag, cwd=tmp_path)
    code = result[0]
    assert code in (1, 2)
    assert_one_line(result, code, "x" * 300)


@pytest.mark.parametrize("text", [b"caf\xe9", b"a\0b"])
def test_names_that_are_not_utf_8_are_refused(text):
    with pytest.raises(UsageError, match=r"^run_dir must be a path in UTF-8\. Received: run_dir="):
        local_path("run_dir", text.decode("utf-8", "surrogateescape"))


def test_names_that_are_not_utf_8_are_refused_before_any_work(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    for command, flag in (("train", "run_dir"), ("prepare", "data_dir"), ("sample", "output")):
        given = [f"--run_dir={tmp_path}"] if command == "sample" else []
        result = run(command, *given, f"--{flag}={tmp_path}/{name}")
        assert_one_line(result, 2, f"{flag} must be a path in UTF-8")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A run, its data and its images, trained by relative paths; then moved, without the images."""
    top = tmp_path_factory.mktemp("moved")
    draw = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (top / "before" / "photos" / name).mkdir(parents=True)
        for i in range(8):
            image = Image.fromarray(draw.integers(0, 256, (16, 16), np.uint8))
            image.save(top / "before" / "photos" / name / f"{i}.png")
    given = ["--dataset=folder:photos", *TINY, "--checkpoint_every=1"]
    for name, steps in (("straight", 3), ("run", 2)):
        flags = [f"--run_dir=runs/{name}", f"--total_steps={steps}", *given]
        code, _, err = run("train", *flags, cwd=top / "before")
        assert code == 0, err
    expected = digest(newest_checkpoint(top / "before" / "runs" / "straight" / "checkpoints"))
    shutil.rmtree(top / "before" / "photos")
    (top / "before").rename(top / "after")
    (top / "elsewhere").mkdir()
    return top, expected


@pytest.mark.slow
def test_a_moved_run_is_used_from_anywhere(moved):
    """Of the flags of its start none is given again."""
    top, expected = moved
    place = "--run_dir=../after/runs/run"
    for command in (
        ["train", place, "--total_steps=3"],
        ["sample", place, "--output=a.html", "--labels=bee"],
        ["explore", place, "--output=b.html", "--labels=Ant"],
        ["evaluate", place, "--num_samples=16"],
        ["export", place, "--export_dir=exports"],
    ):
        code, _, err = run(*command, cwd=top / "elsewhere", first=FEW_STEPS)
        assert code == 0, err
    assert digest(newest_checkpoint(top / "after" / "runs" / "run" / "checkpoints")) == expected
    names = {path.name for path in (top / "elsewhere").iterdir()}
    assert names == {"a.html", "b.html", "exports"}
    assert not (top / "before").exists()
    assert "bee" in (top / "elsewhere" / "exports" / "3" / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_a_run_whose_data_are_gone_says_where_it_looked(moved, tmp_path):
    top, _ = moved
    shutil.copytree(top / "after" / "runs" / "straight", tmp_path / "run")
    result = run("train", f"--run_dir={tmp_path / 'run'}", "--total_steps=4", cwd=tmp_path)
    assert_one_line(
        result, 2, "folder:", "looked for the run's prepared data in", str(tmp_path.parent / "data")
    )
    place = [f"--run_dir={tmp_path / 'run'}", f"--output={tmp_path / 'a.png'}"]
    assert_one_line(run("sample", *place, "--labels=bee"), 2, "names of the classes are unknown")


@pytest.mark.slow
def test_a_run_keeps_the_images_it_began_with(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    draw = np.random.default_rng(0)

    def add(name):
        Image.fromarray(draw.integers(0, 256, (16, 16), np.uint8)).save(photos / name)

    for i in range(8):
        add(f"{i}.png")
    place = [f"--run_dir={tmp_path / 'run'}", f"--data_dir={tmp_path}"]
    more = [f"--dataset=folder:{photos}", *TINY, *SIMPLE]
    assert run("train", *place, *more, "--total_steps=1")[0] == 0
    before = json.loads((tmp_path / "run" / "environment.json").read_text())["data"]
    add("another.png")
    prepare_flags = [f"--data_dir={tmp_path}", f"--dataset=folder:{photos}"]
    assert run("prepare", *prepare_flags, "--image_size=16", "--image_channels=1")[0] == 0
    code, _, err = run("train", place[0], "--total_steps=2")
    assert code == 0, err
    assert err.count("has changed since this run began") == 1
    after = json.loads((tmp_path / "run" / "environment.json").read_text())["data"]
    assert (before["count"], after) == (8, before)
    assert len([*(tmp_path / "prepared").glob("photos-*")]) == 2
