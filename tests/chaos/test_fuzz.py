"""Flags, flag files and configurations of all kinds end with 0, or with 1 or 2 and one line."""

import json
import pathlib
import subprocess
import sys

import pytest
from command_lines import REQUIRED

from keras_sagan.config import Config
from keras_sagan.runs.checkpoints import Checkpoints
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training.state import State

FOLDER = pathlib.Path(__file__).parent
# Command lines of all modules.
FEW, MANY = 210, 2030


@pytest.fixture(scope="module")
def told(tmp_path_factory, thorough):
    """What was told of the command lines, by module."""
    run = RunDirectory(tmp_path_factory.mktemp("fuzz") / "run")
    config = Config(image_size=16, num_classes=10, z_dim=4, g_channels=2, d_channels=2)
    run.path.mkdir()
    run.write_config(config)
    Checkpoints(run.checkpoints, State.create(config), keep=1).save()
    count = (MANY if thorough else FEW) // len(REQUIRED)
    command = [sys.executable, "-m", "tests.chaos.fuzz", str(count), run.path.parent]
    result = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER.parents[1])
    assert result.returncode == 0, result.stderr
    rows = list(map(json.loads, result.stdout.splitlines()))
    faults = [row for row in rows if "fault" in row]
    return faults, {row["module"]: row["codes"] for row in rows if "codes" in row}


@pytest.mark.slow
def test_every_command_line_ends_in_one_line(told):
    faults, _ = told
    assert not faults, json.dumps(faults, indent=1)


@pytest.mark.slow
def test_many_come_further_than_to_their_flags(told, thorough):
    _, codes = told
    sys.stdout.write(f"{codes}\n")
    assert codes.keys() == REQUIRED.keys()
    assert sum(sum(each.values()) for each in codes.values()) > 0.95 * (MANY if thorough else FEW)
    for each in codes.values():
        assert 0 < each["2"] < 0.95 * sum(each.values())
