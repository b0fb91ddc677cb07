"""Commands that are killed at random moments leave nothing broken, and in the end nothing else."""

import json
import pathlib
import subprocess
import sys

import pytest

from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest

pytestmark = pytest.mark.slow

FOLDER = pathlib.Path(__file__).parent
# Most steps since the last checkpoint, and what a first call of the runtime may have of them.
CHECKPOINT_EVERY, CALL = 50, 5


@pytest.fixture(scope="module")
def chaos(tmp_path_factory, thorough):
    """The folder of the runs, and what was told of each kill."""
    folder = tmp_path_factory.mktemp("chaos")
    form = ["100", "1", "auto"] if thorough else ["3", "1", "off"]
    command = [sys.executable, FOLDER / "kill.py", folder, *form]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    *kills, last = map(json.loads, result.stdout.splitlines())
    sys.stdout.write(summary(kills, last))
    return folder, kills


def summary(kills, last):
    """Kills by command, phase and signal, as a table; pytest shows it with -rP."""
    lines = [f"{len(kills)} kills, {last['seconds']} s, {last['total']}"]
    keys = sorted({(kill["command"], kill["phase"], kill["signal"]) for kill in kills})
    for key in keys:
        of_key = [k for k in kills if (k["command"], k["phase"], k["signal"]) == key]
        lost = [kill["lost"] for kill in of_key if "lost" in kill]
        steps = f", steps lost {min(lost)} to {max(lost)}, {sum(lost)} in all" if lost else ""
        codes = ", ".join(sorted({str(kill["code"]) for kill in of_key}))
        lines.append(f"{' '.join(key)}: {len(of_key)} (exit code {codes}){steps}")
    return "\n".join(lines) + "\n"


def test_kills_cost_at_most_the_steps_since_the_last_checkpoint(chaos):
    _, kills = chaos
    trained = [kill for kill in kills if kill["command"] == "train"]
    assert {kill["signal"] for kill in trained} == {"SIGKILL", "SIGTERM", "SIGINT"}
    for kill in trained:
        assert kill["broken"] == [], kill
        if kill["signal"] == "SIGKILL":
            assert kill["code"] == -9
            assert kill["lost"] <= CHECKPOINT_EVERY, kill
        elif kill["code"] == 0:
            assert kill["lost"] == 0, kill
        else:  # Before the first call of the runtime has ended.
            assert kill["code"] == {"SIGTERM": 143, "SIGINT": 130}[kill["signal"]], kill
            assert kill["lost"] <= CALL, kill


def test_nothing_of_them_is_left_in_the_run(chaos):
    folder, _ = chaos
    killed, straight = folder / "killed", folder / "straight"
    for each in ("checkpoints", "checkpoints/best"):
        assert digest(newest_checkpoint(killed / each)) == digest(
            newest_checkpoint(straight / each)
        )
    assert timeless(killed / "train.jsonl") == timeless(straight / "train.jsonl")
    for name in ("scores.jsonl", "config.json"):
        assert (killed / name).read_bytes() == (straight / name).read_bytes()
    assert files(killed) - {pathlib.Path("metrics.jsonl")} == files(straight)
    for path in (straight / "samples").iterdir():
        assert (killed / "samples" / path.name).read_bytes() == path.read_bytes()


def test_scores_are_whole_or_not_there(chaos, thorough):
    if not thorough:
        pytest.skip("with --thorough: it trains a classifier")
    folder, kills = chaos
    rows = list(map(json.loads, (folder / "killed" / "metrics.jsonl").read_text().splitlines()))
    last = [row["metric"] for row in rows if row["time"] == rows[-1]["time"]]
    assert len(last) == len(set(last)) > 3
    for kill in kills:
        if kill["command"] == "evaluate":
            assert kill["rows"] == last * (len(kill["rows"]) // len(last)), kill
            assert kill["code"] in (0, -9, 143, 130), kill
    assert len({(row["metric"], row["value"]) for row in rows}) == len(last)
    assert not list((folder / "data").rglob("*.tmp"))


def test_no_kill_is_answered_with_a_traceback(chaos):
    _, kills = chaos
    assert [kill["log"] for kill in kills if kill["log"]] == []


def timeless(path):
    """The rows of a train.jsonl but for what the clock says."""
    clock = ("seconds", "steps_per_s", "images_per_s")
    rows = map(json.loads, path.read_text().splitlines())
    return [{name: row[name] for name in row if name not in clock} for row in rows]


def files(run_dir):
    """Relative paths of all files but TensorBoard's, of which each start has one."""
    paths = {path.relative_to(run_dir) for path in run_dir.rglob("*") if path.is_file()}
    return {path for path in paths if path.parts[0] != "tensorboard"}
