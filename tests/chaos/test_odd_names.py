"""Folders with names of all kinds: everything that is written there is read again, or refused."""

import random
import sys

import pytest
import smallest

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.errors import RunError, UsageError
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import Checkpoints, digest, load_generator
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training.state import State
from keras_sagan.values import local_path

pytestmark = pytest.mark.slow

PIECES = [*"abz09 []()<>*?{}$#%&!'\"`\\|;:,=~^@+-._\n\t", "ü", "猫", "é", "\u202e", "..", "%s"]
BYTES = ["\udcff", "\udce9"]  # Not UTF-8.
# One in `LONG` names has 250 characters, and one in `BROKEN` may not be UTF-8. One in `DATA` also
# gets prepared data.
LONG, BROKEN, DATA = 20, 10, 10
# Why a name is refused, before anything is written there.
REASONS = ("must be a path in UTF-8", "File name too long")


def draw_name(numbers):
    length = 250 if numbers.randrange(LONG) == 0 else numbers.randrange(1, 12)
    pieces = PIECES + (BYTES if numbers.randrange(BROKEN) == 0 else [])
    name = "".join(numbers.choice(pieces) for _ in range(length))[:250]
    return name if name.strip(".") else "dots"


def write_and_read(top, name, state, config):
    """The digest of a checkpoint as written to `top/name` and read from there."""
    run = RunDirectory(top / name)
    with run.lock():
        run.write_config(config)
        state.step.assign_add(1)
        Checkpoints(run.checkpoints, state, keep=1).save({"count": 1})
        run.append("train.jsonl", {"step": 1})
    path = newest_checkpoint(run.checkpoints)
    assert run.read_config() == config.with_absolute_paths()
    assert run.rows("train.jsonl") == [{"step": 1}]
    assert Checkpoints(run.checkpoints, state, keep=1).restore().partial_record == {"count": 1}
    assert load_generator(config, path)[1] == state.step.numpy()
    return digest(path)


def test_what_is_written_under_any_name_is_read(tmp_path, thorough):
    numbers, count = random.Random(0), 500 if thorough else 20
    fields = smallest.NETWORKS | smallest.DCGAN | {"num_classes": 3, "dataset": "synthetic"}
    state = State.create(Config(**fields))
    outcomes = {"read": 0, "refused": 0}
    for i in range(count):
        place, name = tmp_path / f"{i}", draw_name(numbers)
        place.mkdir()
        top = place / "link"
        (place / "real").mkdir()
        top.symlink_to(place / "real")
        config = Config(**fields, data_dir=str(place / "data"))
        try:
            data_dir = local_path("data_dir", str(top / name))
            write_and_read(top, name, state, config)
            if i % DATA == 0:
                prepare(config.image_set, data_dir).verify()
        except (UsageError, RunError) as error:
            outcome, reason, left = "refused", str(error), []
        else:
            outcome, reason, left = "read", REASONS[0], [name]
        outcomes[outcome] += 1
        assert any(each in reason for each in REASONS), reason
        assert [path.name for path in (place / "real").iterdir()] == left
    assert sum(outcomes.values()) == count
    assert outcomes["read"] > count / 2
    sys.stdout.write(f"{outcomes}\n")
