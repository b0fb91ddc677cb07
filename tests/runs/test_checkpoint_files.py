"""Checkpoints whose files are damaged, lost or left by a kill."""

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.errors import RunError
from keras_sagan.runs import checkpoint_files
from keras_sagan.runs.checkpoint_files import SEAL, check_seal, list_checkpoints, step_of
from keras_sagan.runs.checkpoints import Checkpoints, digest, load_generator
from keras_sagan.training.state import State

CONFIG = Config(
    image_size=16, image_channels=1, z_dim=4, g_channels=2, d_channels=2, num_classes=10
)


@pytest.fixture(scope="module")
def state():
    return State.create(CONFIG)


@pytest.fixture
def checkpoints(state, tmp_path):
    """Steps 10 and 20, whose biases are full of the step."""
    checkpoints = Checkpoints(tmp_path, state, keep=2)
    for step in (10, 20):
        save(checkpoints, step)
    return checkpoints


def save(checkpoints, step, **settings):
    set_to(checkpoints.state, step)
    return checkpoints.save(**settings)


def set_to(state, step):
    state.step.assign(step)
    for variable in state.generator.trainable_variables:
        variable.assign(tf.fill(variable.shape, float(step)))


def values(state):
    return {float(v) for each in state.generator.trainable_variables for v in np.unique(each)}


def steps(directory):
    return [step_of(path) for path in list_checkpoints(directory)]


def truncated(data):
    return data[: len(data) // 2]


def zeroed(data):
    return bytes(len(data))


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def emptied(data):
    del data
    return b""


def removed(data):
    del data


DAMAGES = (truncated, zeroed, flipped, emptied, removed)


@pytest.mark.slow_except(".index-truncated")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001", SEAL])
def test_damaged_newest_falls_back_to_the_one_before(suffix, damage, checkpoints, tmp_path):
    break_file(tmp_path / f"step-20{suffix}", damage)
    set_to(checkpoints.state, 0)
    restored = checkpoints.restore()
    step = restored.step
    if (suffix, damage) == (SEAL, removed):  # All that it vouched for is still there.
        assert (step, restored.warnings) == (20, [])
    else:
        assert step == 10
        (warning,) = restored.warnings
        assert f"{tmp_path / 'step-20'} cannot be read: " in warning
        assert warning.endswith(f"; resuming from {tmp_path / 'step-10'}")
        for read in (digest, check_seal, lambda path: load_generator(CONFIG, path)):
            with pytest.raises(RunError, match="step-20 cannot be read: "):
                read(str(tmp_path / "step-20"))
    assert values(checkpoints.state) == {step}
    assert int(checkpoints.state.step.numpy()) == step


def break_file(path, damage):
    data = damage(path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)


def test_without_seals_checksums_find_every_damage(checkpoints, tmp_path):
    """Checkpoints of earlier versions have none."""
    for path in tmp_path.glob(f"*{SEAL}"):
        path.unlink()
    for suffix in (".index", ".data-00000-of-00001"):
        path = tmp_path / f"step-20{suffix}"
        whole = path.read_bytes()
        for damage in DAMAGES:
            break_file(path, damage)
            assert checkpoints.restore().step == 10
            assert values(checkpoints.state) == {10}
            path.write_bytes(whole)
    assert checkpoints.restore().step == 20


def test_none_left_is_one_line(checkpoints, tmp_path):
    for step in (10, 20):
        break_file(tmp_path / f"step-{step}.data-00000-of-00001", flipped)
    with pytest.raises(RunError, match=r"step-20 cannot .* has changed, nor can 1 before it$"):
        checkpoints.restore()


def test_training_goes_on_over_a_damaged_one_and_keeps_the_good(checkpoints, tmp_path):
    break_file(tmp_path / "step-20.index", removed)
    assert checkpoints.restore().step == 10
    save(checkpoints, 15)
    assert steps(tmp_path) == [10, 15]
    assert not list(tmp_path.glob("step-20*"))
    save(checkpoints, 20)
    assert checkpoints.restore().step == 20


@pytest.mark.slow_except("truncated")
@pytest.mark.parametrize("damage", DAMAGES)
def test_list_is_needed_by_nobody_and_written_for_tensorflow(damage, checkpoints, tmp_path):
    break_file(tmp_path / "checkpoint", damage)
    again = Checkpoints(tmp_path, checkpoints.state, keep=2)
    assert again.restore().step == 20
    save(again, 30)
    assert steps(tmp_path) == [20, 30]
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "step-30")


def test_checkpoint_of_a_stop_goes_with_the_next_save(checkpoints, tmp_path):
    save(checkpoints, 23)
    assert steps(tmp_path) == [20, 23]
    save(checkpoints, 30, temporary_step=23)
    assert steps(tmp_path) == [20, 30]
    save(checkpoints, 40)
    assert steps(tmp_path) == [30, 40]


class Killed(BaseException):
    """In place of a kill, between two operations on files."""


@pytest.mark.slow
def test_save_that_is_cut_off_anywhere_leaves_whole_checkpoints(state, tmp_path, monkeypatch):
    """Also one that writes a step again."""
    operations = ("rename", "unlink", "replace")
    for step in (20, 30):
        for moment in range(40):
            directory = tmp_path / f"{step}-{moment}"
            checkpoints = Checkpoints(directory, state, keep=2)
            save(checkpoints, 10)
            save(checkpoints, 20)
            count = iter(range(40))

            def dying(real, count=count, moment=moment):
                def operation(*arguments, **named):
                    if next(count) == moment:
                        raise Killed
                    return real(*arguments, **named)

                return operation

            with monkeypatch.context() as patch:
                for name in operations:
                    real = getattr(checkpoint_files.pathlib.Path, name)
                    patch.setattr(checkpoint_files.pathlib.Path, name, dying(real))
                try:
                    save(checkpoints, step)
                    ended = True
                except Killed:
                    ended = False
            for path in list_checkpoints(directory):
                check_seal(path)
            found = checkpoints.restore()
            restored = found.step
            assert restored in (10, 20, step)
            assert values(state) == {restored}
            assert found.warnings == []
            save(checkpoints, 40)
            stems = {path.name.partition(".")[0] for path in directory.iterdir()}
            assert stems == {"checkpoint", "step-40", f"step-{restored}"}
            if ended:
                break
        assert 3 < moment < 39
