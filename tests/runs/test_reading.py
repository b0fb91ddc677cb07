"""Checkpoints as commands choose them: some are damaged, and training replaces others meanwhile."""

import pathlib

import pytest
import tensorflow as tf

from keras_sagan.errors import RunError, UsageError
from keras_sagan.runs.checkpoint_files import remove_checkpoint, step_of, write_checkpoint
from keras_sagan.runs.checkpoints import restore_networks
from keras_sagan.runs.reading import CheckpointReader
from keras_sagan.values import CheckpointChoice


def write(directory, step, keep=3):
    checkpoint = tf.train.Checkpoint(step=tf.Variable(tf.constant(step, tf.int64)))
    checkpoint.save_counter  # noqa: B018 (reading it creates it)
    return write_checkpoint(checkpoint, directory / f"step-{step}", keep)


def damage(path):
    path = pathlib.Path(f"{path}.index")
    path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture
def folder(tmp_path):
    """Checkpoints at steps 10, 20 and 30, and the best one at step 15."""
    for step in (10, 20, 30):
        write(tmp_path, step)
    write(tmp_path / "best", 15)
    return tmp_path


def chosen(text):
    return CheckpointChoice.parse(text)


def steps(reader, text):
    return [reading.value for reading in reader.read_each(chosen(text))]


def test_newest_is_the_newest_that_can_be_read(folder, capsys):
    for step in (20, 30):
        damage(folder / f"step-{step}")
    reading = CheckpointReader(folder, restore_networks).read_one(chosen("newest"))
    assert (reading.path, reading.value) == (str(folder / "step-10"), 10)
    assert capsys.readouterr().err.splitlines() == [
        f"warning: checkpoint {folder}/step-{step} cannot be read: step-{step}.index has changed; "
        f"using {folder}/step-10"
        for step in (30, 20)
    ]
    damage(folder / "step-10")
    with pytest.raises(RunError, match=r"step-30 cannot be read: .*, nor can 2 before it$"):
        CheckpointReader(folder, restore_networks).read_one(chosen("newest"))


@pytest.mark.parametrize(("text", "path"), [("best", "best/step-15"), ("30", "step-30")])
def test_the_best_and_a_step_must_be_readable(text, path, folder, capsys):
    damage(folder / path)
    reader = CheckpointReader(folder, restore_networks)
    for read in (reader.read_one, lambda choice: [*reader.read_each(choice)]):
        with pytest.raises(RunError, match=f"{path} cannot be read: .*has changed$"):
            read(chosen(text))
    assert capsys.readouterr().err == ""


def test_all_leaves_out_damaged_ones_and_names_each(folder, capsys):
    for path in ("best/step-15", "step-30"):
        damage(folder / path)
    reader = CheckpointReader(folder, restore_networks)
    assert steps(reader, "all") == [10, 20]
    assert reader.damaged == [str(folder / path) for path in ("best/step-15", "step-30")]
    lines = capsys.readouterr().err.splitlines()
    for line, step in zip(lines, (15, 30), strict=True):
        assert line.startswith("warning: checkpoint ")
        assert line.endswith(f"step-{step}.index has changed; leaving it out")
    with pytest.raises(RunError, match="step-30 cannot be read"):
        steps(reader, "30,all")
    for step in (10, 20):
        damage(folder / f"step-{step}")
    with pytest.raises(RunError, match="expected a readable checkpoint. Received: none in "):
        steps(reader, "all")


def test_each_is_read_once_by_ascending_step(folder):
    reader = CheckpointReader(folder, restore_networks)
    assert steps(reader, "newest,20,best,20,30") == [15, 20, 30]
    assert steps(reader, "all,20") == [10, 15, 20, 30]
    damage(folder / "step-30")
    assert steps(reader, "newest,20") == [20]
    with pytest.raises(UsageError, match=r"one of \[10, 15, 20, 30\]. Received: 25"):
        steps(reader, "newest,25")


def reads(actions):
    """A function that reads a path after the action that `actions` has for its step; and paths."""
    paths = []

    def read(path):
        paths.append(path)
        actions.pop(step_of(path), lambda: None)()
        return restore_networks(path)

    return read, paths


def test_newest_that_training_removes_meanwhile_is_chosen_again(folder, capsys):
    def train():
        for step in (40, 50, 60):
            write(folder, step)

    read, paths = reads({30: train})
    assert CheckpointReader(folder, read).read_one(chosen("newest")).value == 60
    assert [step_of(path) for path in paths] == [30, 60]
    assert capsys.readouterr().err == ""


def test_damaged_one_that_training_removes_meanwhile_is_not_named(folder):
    damage(folder / "step-30")
    read, _ = reads({20: lambda: remove_checkpoint(folder / "step-30")})
    reading = CheckpointReader(folder, read).find_one(chosen("newest"))
    assert (reading.value, reading.failures) == (20, [])


def test_best_and_step_that_training_removes_meanwhile(folder):
    read, paths = reads({15: lambda: write(folder / "best", 25, keep=1)})
    assert CheckpointReader(folder, read).read_one(chosen("best")).value == 25
    assert [step_of(path) for path in paths] == [15, 25]
    read, _ = reads({10: lambda: write(folder, 40)})
    with pytest.raises(UsageError, match=r"one of \[20, 25, 30, 40\]. Received: 10"):
        CheckpointReader(folder, read).read_one(chosen("10"))


def test_all_leaves_out_what_training_removes_meanwhile(folder, capsys):
    read, paths = reads({10: lambda: remove_checkpoint(folder / "step-20")})
    reader = CheckpointReader(folder, read)
    assert steps(reader, "all") == [10, 15, 30]
    assert [step_of(path) for path in paths] == [10, 15, 20, 30]
    assert not reader.damaged
    note = "note: training has removed step 20 meanwhile; leaving it out\n"
    assert capsys.readouterr().err == note


def test_no_checkpoint_is_one_line(tmp_path):
    reader = CheckpointReader(tmp_path, restore_networks)
    for text in ("newest", "best", "all", "7"):
        with pytest.raises(RunError, match=f"expected a checkpoint. Received: none in {tmp_path}"):
            steps(reader, text)
