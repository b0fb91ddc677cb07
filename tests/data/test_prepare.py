"""What `prepare` promises of every set: once, whole or not at all, and named when broken."""

import concurrent.futures
import fcntl
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import sklearn.datasets
from images import encoded, fill, noise, prepare_config

from keras_sagan.config import Config
from keras_sagan.data import prepared as preparation
from keras_sagan.data.prepared import Prepared
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import UNFINISHED, remove_unfinished


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data"))


def config(data_dir, **changes):
    settings = {"image_size": 16, "image_channels": 1, "dataset": "digits"}
    return Config(data_dir=str(data_dir), **settings | changes)


def sets(data_dir):
    """Names of all that stands beside prepared sets and their lock, and of these."""
    return sorted(path.name for path in (data_dir / "prepared").iterdir() if path.name != ".lock")


def test_digits_are_those_of_scikit_learn(data_dir):
    prepared = prepare_config(config(data_dir))
    assert prepared.images.shape == (1797, 16, 16, 1)
    assert prepared.images.dtype == np.uint8
    assert isinstance(prepared.images, np.memmap)
    digits = sklearn.datasets.load_digits()
    np.testing.assert_array_equal(np.bincount(prepared.labels), np.bincount(digits.target))
    # Shrunk back, each is one of the source's images, with its label.
    small = prepared.images.reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4)).reshape(-1, 64)
    source = digits.images.reshape(-1, 64) * (255 / 16)
    for i in range(0, 1797, 100):
        nearest = np.argmin(((source - small[i]) ** 2).sum(axis=1))
        assert digits.target[nearest] == prepared.labels[i]


def test_record_says_where_the_images_come_from(data_dir):
    record = prepare_config(config(data_dir)).record
    assert record["count"] == sum(record["counts"]) == 1797
    assert record["classes"] == [str(i) for i in range(10)]
    assert record["source"] == "TFDS builder digits/1.0.0"
    assert (record["version"], record["split"]) == ("1.0.0", "train")
    assert "bicubic" in record["preprocessing"]
    assert record["image_shape"] == [16, 16, 1]
    assert len(record["sha256"]) == 64


def test_channels_are_repeated_for_color_networks(data_dir):
    gray = prepare_config(config(data_dir)).images
    color = prepare_config(config(data_dir, image_channels=3)).images
    np.testing.assert_array_equal(color, np.repeat(gray, 3, axis=-1))


def test_preparation_happens_once(data_dir, monkeypatch):
    prepare_config(config(data_dir))
    monkeypatch.delattr(preparation, "write_set")
    prepare_config(config(data_dir))


def test_classes_must_be_those_of_the_data(data_dir):
    with pytest.raises(UsageError, match="num_classes must be 10, .* Received: 12"):
        prepare_config(config(data_dir, num_classes=12))
    for classes in (-1, 0, 10):
        assert prepare_config(config(data_dir, num_classes=classes)).num_classes == 10


def test_synthetic_images_have_the_classes_that_are_asked_for(tmp_path):
    for classes, expected in ((-1, 10), (0, 10), (7, 7)):
        prepared = prepare_config(config(tmp_path, dataset="synthetic", num_classes=classes))
        assert prepared.images.shape == (1024, 16, 16, 1)
        assert prepared.num_classes == len(np.unique(prepared.labels)) == expected
    assert prepared.images.std() == pytest.approx(256 / 12**0.5, rel=0.01)


def test_failed_preparation_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    settings = config(tmp_path, dataset="synthetic")
    monkeypatch.setattr(np, "save", full)
    with pytest.raises(RunError, match="data cannot be prepared in .* No space left"):
        prepare_config(settings)
    assert sets(tmp_path) == []
    monkeypatch.undo()
    assert len(prepare_config(settings).images) == 1024


def test_of_two_preparations_at_once_the_second_waits(tmp_path, monkeypatch, capfd):
    settings = config(tmp_path, dataset="synthetic")
    write, flock, calls, waits = preparation.write_arrays, fcntl.flock, [], threading.Event()

    def slow(*arguments):
        calls.append(arguments)
        assert waits.wait(600)
        write(*arguments)

    def noted(file, operation):
        if not operation & fcntl.LOCK_NB:  # The second one has been refused, and waits.
            waits.set()
        flock(file, operation)

    monkeypatch.setattr(preparation, "write_arrays", slow)
    monkeypatch.setattr(fcntl, "flock", noted)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(prepare_config, [settings, settings]))
    assert len(calls) == 1
    assert "waiting: another process prepares data here" in capfd.readouterr().err
    np.testing.assert_array_equal(results[0].images, results[1].images)


def test_broken_set_is_named(tmp_path):
    settings = config(tmp_path, dataset="synthetic")
    directory = prepare_config(settings).directory
    record = (directory / "dataset.json").read_text()
    for text in ("{", "{}", "[]", record.replace('"count": 1024', "")[:-9]):
        (directory / "dataset.json").write_text(text)
        with pytest.raises(RunError, match="cannot be read; remove it to prepare it again"):
            prepare_config(settings)
    (directory / "dataset.json").write_text(record)
    images = (directory / "images.npy").read_bytes()
    (directory / "images.npy").write_bytes(images[:-1])
    with pytest.raises(RunError, match="cannot be read; remove it to prepare it again"):
        prepare_config(settings)


def test_pickled_arrays_are_not_loaded(tmp_path):
    settings = config(tmp_path, dataset="synthetic")
    directory = prepare_config(settings).directory
    np.save(directory / "labels.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(RunError, match="cannot be read"):
        prepare_config(settings)


def test_process_that_ends_is_an_error_that_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RunError, match="which ended with exit code 1"):
        prepare_config(config(fill(tmp_path, ["p/a.png"]), dataset=f"folder:{tmp_path / 'p'}"))
    assert sets(tmp_path) == []


def test_names_of_sets_cannot_leave_the_data_directory(tmp_path):
    for name in ("folder:/a/../../b", "../../etc", "a/b:1.0.0", ".", "folder:" + "x/" * 300):
        directory = preparation.set_name(config(tmp_path, dataset=name).image_set)
        assert "/" not in directory
        assert len(directory) < 100
        assert not directory.startswith(".")


@pytest.fixture
def photos(tmp_path):
    """A folder that takes a moment to prepare, with a broken image."""
    fill(tmp_path / "photos", ["a/0.png"])
    large = [encoded(noise(300, 300, seed=i)) for i in range(4)]
    for i in range(1, 160):
        (tmp_path / "photos" / "a" / f"{i}.png").write_bytes(large[i % 4])
    (tmp_path / "photos" / "a" / "broken.png").write_bytes(large[0][:5000])
    return tmp_path / "photos"


def start(photos, data_dir):
    flags = [f"--dataset=folder:{photos}", f"--data_dir={data_dir}", "--image_size=64"]
    return subprocess.Popen(
        [sys.executable, "-m", "keras_sagan.prepare", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_work(data_dir, process):
    """Until the preparation writes; returns the moment."""
    deadline = time.monotonic() + 600
    while not list((data_dir / "prepared").glob(UNFINISHED + "*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return time.monotonic()


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_at_any_moment_leaves_no_half_set(photos, tmp_path, kills):
    """A fourth of the kills before the work begins, the others in it; then a start without one."""
    begun = time.monotonic()
    process = start(photos, tmp_path / "undisturbed")
    works = wait_for_work(tmp_path / "undisturbed", process)
    out, err = process.communicate()
    starting, working = works - begun, time.monotonic() - works
    (undisturbed,) = (tmp_path / "undisturbed" / "prepared").glob("photos-*")
    expected = Prepared(undisturbed).record
    assert (expected["count"], len(expected["left_out"])) == (160, 1), out + err
    data_dir, moments = tmp_path / "killed", random.Random(0)
    halves = 0
    for i in range(kills):
        early = i % 4 == 0
        if not early:
            remove_unfinished(data_dir / "prepared")  # What the kill before has left.
        process = start(photos, data_dir)
        if early:
            time.sleep(starting * moments.random())
        else:
            wait_for_work(data_dir, process)
            # Squared, so that most kills come early enough, however the speed has changed.
            time.sleep(working * moments.random() ** 2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        names = sets(data_dir) if (data_dir / "prepared").is_dir() else []
        finished = [name for name in names if name.startswith("photos-")]
        halves += not early and len(names) > len(finished)
        for name in finished:
            assert Prepared(data_dir / "prepared" / name).record == expected
            (data_dir / "prepared" / name).rename(tmp_path / f"{i}")  # The next one starts anew.
    assert halves >= kills / 4  # Kills did fall into the work.
    process = start(photos, data_dir)
    out, err = process.communicate()
    assert process.returncode == 0, err
    (name,) = sets(data_dir)
    prepared = Prepared(data_dir / "prepared" / name)
    assert prepared.record == expected
    np.testing.assert_array_equal(prepared.images, Prepared(undisturbed).images)


def test_killed_preparation_leaves_no_processes_and_no_lock(photos, tmp_path):
    process = start(photos, tmp_path / "data")
    threads = pathlib.Path(f"/proc/{process.pid}/task")
    deadline, workers = time.monotonic() + 600, []
    while not workers:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        workers = [
            child for path in threads.glob("*/children") for child in path.read_text().split()
        ]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    while any(os.path.exists(f"/proc/{worker}/exe") for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with (tmp_path / "data" / "prepared" / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_record_is_json_that_another_program_reads(tmp_path):
    directory = prepare_config(config(tmp_path, dataset="synthetic")).directory
    assert json.loads((directory / "dataset.json").read_text())["count"] == 1024
