"""What the runner makes of trainings that exit with 0: some were stopped before their end."""

import codecs
import dataclasses
import json
import pathlib
import sys

import pytest

from benchmarks.comparison.runner import execute_runs, explain_exit
from benchmarks.comparison.suite import parse_flags
from keras_sagan.config import Config


@dataclasses.dataclass
class Row:
    name: str


@dataclasses.dataclass
class Run:
    """As `suite.Run`: a training that records one step, and a scoring that leaves a file."""

    path: pathlib.Path
    total_minutes: float
    step: int
    seed: int = 0
    row: Row = dataclasses.field(default_factory=lambda: Row("row"))

    @property
    def log(self):
        return self.path.with_suffix(".log")

    @property
    def outcome(self):
        return self.path.with_suffix(".json")

    def config(self):
        return Config(total_steps=20, total_minutes=self.total_minutes)

    def commands(self):
        record = f"open({str(self.path / 'train.jsonl')!r}, 'w').write('%s')"
        row = json.dumps({"step": self.step, "seconds": 60.0})
        score = f"open({str(self.path / 'scored')!r}, 'w')"
        return [[sys.executable, "-c", record % row], [sys.executable, "-c", score]]


@pytest.mark.parametrize(
    ("step", "minutes", "status"),
    [(20, 0, "ok"), (7, 0, "killed"), (7, 1, "ok"), (7, 1.01, "killed")],
)
def test_training_that_was_stopped_is_not_scored(step, minutes, status, tmp_path):
    run = Run(tmp_path / "run", minutes, step)
    run.path.mkdir()
    execute_runs([run], [])
    outcome = json.loads(run.outcome.read_text())
    assert outcome["status"] == status
    assert (run.path / "scored").exists() == (status == "ok")
    if status == "killed":
        assert outcome["reason"] == "after step 7, before the end"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (-9, ("killed", "by SIGKILL")),
        (143, ("killed", "by SIGTERM")),
        (129, ("killed", "by SIGHUP")),
        (138, ("killed", "by SIGUSR1")),
        (1, ("failed", "the last line")),
    ],
)
def test_exit_code_tells_which_signal_ended_a_run(code, outcome):
    assert explain_exit(code, "a line\nthe last line\n") == outcome


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (b"", "utf-8")],
)
def test_flag_files_of_rows_are_read_as_those_of_commands(mark, encoding, tmp_path):
    (tmp_path / "row.flags").write_bytes(
        mark + "--dataset=folder:猫\n--recipe=sagan_digits\n".encode(encoding)
    )
    values = parse_flags([f"--flagfile={tmp_path / 'row.flags'}", "--seed=3"])
    assert (values.dataset, values.seed, values.image_size) == ("digits", 3, 16)
