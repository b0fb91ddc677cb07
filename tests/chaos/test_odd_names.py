"""Paths of all kinds: everything that is written there is read again, or refused."""

import collections
import dataclasses
import pathlib
import random
import sys
import types

import keras
import numpy as np
import pytest
import smallest
import tensorflow as tf
from absl import flags
from odd_names import as_typed, draw_name
from PIL import Image

from keras_sagan import commands, networks
from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.errors import RunError, UsageError
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import Checkpoints, digest, load_generator
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.serving.archive import Origin, Settings, export_generator
from keras_sagan.training.state import State
from keras_sagan.values import CheckpointChoice, local_path
from keras_sagan.visual.grid import save_png

pytestmark = pytest.mark.slow

FIELDS = smallest.NETWORKS | smallest.DCGAN | {"num_classes": 3, "dataset": "synthetic"}
# Names that are drawn for each flag; one in `COSTLY` also gets what takes seconds to write.
FEW, MANY, COSTLY = 20, 200, 10
# Why a name is refused, before anything is written there.
REASONS = ("must be a path in UTF-8", "File name too long", "must have neither [ nor \\")


class Writer:
    """Writes what commands write to the path of a flag, and reads it: a method for each flag."""

    def __init__(self):
        self.config = Config(**FIELDS)
        self.state, self.generator = State.create(self.config), networks.generator(self.config)
        self.grid = np.random.default_rng(0).integers(0, 256, (16, 16, 1), np.uint8)

    def run_dir(self, path, costly):
        del costly
        run, state = RunDirectory(path), self.state
        with run.lock():
            run.write_config(self.config)
            state.step.assign_add(1)
            Checkpoints(run.checkpoints, state, keep=1).save({"count": 1})
            run.append("train.jsonl", {"step": 1})
        checkpoint = newest_checkpoint(run.checkpoints)
        assert run.read_config() == self.config.with_absolute_paths()
        assert run.rows("train.jsonl") == [{"step": 1}]
        assert Checkpoints(run.checkpoints, state, keep=1).restore().partial_record == {"count": 1}
        assert load_generator(self.config, checkpoint)[1] == state.step.numpy()
        assert len(digest(checkpoint)) == 64

    def data_dir(self, path, costly):
        del costly
        config = dataclasses.replace(self.config, data_dir=path)
        prepare(config.image_set, config.data_dir).verify()

    def dataset(self, path, costly):
        del costly
        config = Config(**FIELDS | {"num_classes": -1, "dataset": f"folder:{path}"})
        folder = config.image_set.dataset.path
        folder.mkdir()
        for i in range(2):
            save_png(self.grid + np.uint8(i), folder / f"{i}.png", 64)
        config = Config.from_json(config.with_absolute_paths().to_json())
        prepared = prepare(config.image_set, "../data")
        np.testing.assert_array_equal(prepared.images[1], self.grid + np.uint8(1))

    def output(self, path, costly):
        del costly
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flags, "FLAGS", types.SimpleNamespace(output=path))
            commands.write("output", lambda each: save_png(self.grid, each, 64))
            np.testing.assert_array_equal(Image.open(path), self.grid[..., 0])
            commands.write("output", commands.page_writer("ü\udcff"))
        assert pathlib.Path(path).read_bytes() == b"\xc3\xbc\xff"

    def export_dir(self, path, costly):
        newest, origin = CheckpointChoice.parse("newest"), Origin(7, None, None)
        kind = "saved_model" if costly else "keras"
        settings = Settings(pathlib.Path(path), kind, newest, True, None, "sagan")
        name, _, _ = export_generator(self.generator, self.config, settings, origin)
        if costly:
            loaded = tf.saved_model.load(f"{path}/{name}").signatures["serving_default"]
            one = tf.constant([1], tf.int64)
            assert loaded(labels=one, seeds=one)["images"].shape == (1, 16, 16, 1)
            return
        weights = keras.saving.load_model(pathlib.Path(path) / name).get_weights()
        for own, expected in zip(weights, self.generator.get_weights(), strict=True):
            np.testing.assert_array_equal(own, expected)


@pytest.fixture(scope="module")
def writer():
    return Writer()


def attempt(write, flag, path, costly):
    """Why a path is refused; None if what is written there is read."""
    try:
        write(local_path(flag, path) if flag in commands.PATHS else path, costly)
    except (UsageError, RunError, OSError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("flag", ["run_dir", "data_dir", "dataset", "output", "export_dir"])
def test_what_is_written_under_any_name_is_read(flag, writer, tmp_path, thorough, monkeypatch):
    numbers, outcomes = random.Random(flag), collections.Counter()
    for i in range(MANY if thorough else FEW):
        folder = tmp_path / f"{i}"
        (folder / "real").mkdir(parents=True)
        (folder / "link").symlink_to(folder / "real")
        monkeypatch.setenv("HOME", str(folder / "link"))
        monkeypatch.chdir(folder / "link")
        name = draw_name(numbers)
        path = as_typed(name, folder / "link", numbers)
        reason = attempt(getattr(writer, flag), flag, path, i % COSTLY == 0)
        assert reason is None or any(each in reason for each in REASONS), (path, reason)
        left = [each.name for each in (folder / "real").iterdir()]
        assert left == ([] if reason else [name]), (path, reason)
        outcomes["refused" if reason else "read"] += 1
    assert outcomes["read"] > outcomes["refused"]
    sys.stdout.write(f"{flag}: {dict(outcomes)}\n")
