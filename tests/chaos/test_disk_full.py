"""A full disk, whatever is being written, ends training in one line and costs no checkpoint."""

import json
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

FOLDER = pathlib.Path(__file__).parent
# A mount that this process sees alone, and that goes with it.
ALONE = ["unshare", "--map-root-user", "--mount"]
# What a run writes, as `kill.NOTED` calls it; "start" has the lock and TensorBoard's first file.
PHASES = {"start", "config.json", "environment.json", "record", "TensorBoard", "grid", "score"}
PHASES |= {"best checkpoint", "checkpoint", "seal", "list", "stop.json"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, thorough):
    folder = tmp_path_factory.mktemp("disk")
    allowed = subprocess.run([*ALONE, "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True)
    if allowed.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {allowed.stderr.decode()}")
    script = [sys.executable, FOLDER / "disk_full.py", folder, "1" if thorough else "100"]
    result = subprocess.run([*ALONE, *script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_thing_that_is_written_was_refused_once(runs, thorough):
    # With every size of disk there is one that is full for these, too.
    more = {"earlier records"} if thorough else set()
    assert {run["phase"] for run in runs if run["error"]} == PHASES | more


def test_it_ends_in_one_line(runs):
    for run in runs:
        if run["error"]:
            assert run["error"].count("No space left on device") == 1, run
            assert "\n" not in run["error"], run
            assert "/disk/run: stopped; earlier checkpoints are intact: " in run["error"]
            assert "{{" not in run["error"], run


def test_checkpoints_of_before_are_whole_and_the_run_goes_on(runs):
    for run in runs:
        assert run["warnings"] == [], run
        assert run["restored"] >= (0 if run["kind"] == "new" else 30), run
        assert run["again"] == "", run
        assert run["records"] == list(range(1, 51)), run
        assert run["scores"] == list(range(10, 60, 10)), run
        assert run["files"] == runs[0]["files"], run
