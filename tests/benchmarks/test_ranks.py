"""Two extractors' orders of the checkpoints of a run, against SciPy, and the report of them."""

import json
import pathlib
import shutil
import subprocess

import forks
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from bench import ROOT
from process import assert_one_line

from benchmarks.report.ranks_report import correlate_ranks
from keras_sagan.runs.directory import RunDirectory

FIXTURE = pathlib.Path(__file__).parents[1] / "runs" / "fixtures" / "0.2.0"
STEPS = [10, 20, 30, 40, 50]
VALUES = {"classifier-1": [9.0, 7.0, 8.0, 3.0, 2.0], "rotation-2": [5.0, 4.0, 3.0, 1.0, 2.0]}


def report(run, folder, metric):
    """`benchmarks.ranks` in a process of its own: exit code, output, errors."""
    given = [f"--run_dir={run.path}", f"--report_dir={folder}", f"--metric={metric}"]
    command = [forks.executable(), "-m", "benchmarks.ranks", *given]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return result.returncode, result.stdout, result.stderr


def row(metric, extractor, step, value):
    conditions = {"n_fake": 100, "n_real": 1797, "weights": "ema", "seed": 0, "machine": "any"}
    record = {"test_accuracy": 0.75, "test_images": 360}
    names = {"metric": f"{metric}/{extractor}", "step": step, "value": value, "extractor": record}
    return names | conditions | {"command": ["--checkpoint=all"], "commit": "1234"}


@pytest.fixture
def run(tmp_path):
    """A run whose five checkpoints two extractors have scored, the first score twice."""
    found = RunDirectory(shutil.copytree(FIXTURE, tmp_path / "run"))
    (found.path / "metrics.jsonl").unlink()
    found.append("metrics.jsonl", row("fd100", "classifier-1", 10, 100.0))
    for extractor, values in VALUES.items():
        for step, value in zip(STEPS, values, strict=True):
            found.append("metrics.jsonl", row("fd100", extractor, step, value))
            found.append("metrics.jsonl", row("recall100", extractor, step, 1 / value))
            if extractor == "classifier-1":
                found.append("metrics.jsonl", row("is100", extractor, step, value))
    return found


def test_correlations_are_spearmans():
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=12) for name in ("a", "b")}
    lines = [
        {"metric": "fd2k", "extractor": name, "step": step, "value": value}
        for name, values in columns.items()
        for step, value in enumerate(values)
    ]
    found = correlate_ranks(pd.DataFrame(lines).sample(frac=1, random_state=0)).iloc[0]
    pairs = {"between": (columns["a"], columns["b"])}
    pairs |= {name: (values, np.arange(12)) for name, values in columns.items()}
    for name, pair in pairs.items():
        assert found[name] == pytest.approx(scipy.stats.spearmanr(*pair).statistic, abs=1e-12)


def test_a_report_has_ranks_correlations_and_commands(run, tmp_path):
    folder = tmp_path / "report"
    code, out, err = report(run, folder, "fd100")
    assert (code, out) == (0, f"report: {folder / 'report.html'}\n"), err
    text = (folder / "report.md").read_text()
    # Ranks 5 3 4 2 1 and 5 4 3 1 2: 1 - 6 * (1 + 1 + 1 + 1) / (5 * 24).
    assert "| fd100 | 0.800 |" in text
    assert "| recall100 | 0.800 |" in text
    assert "| is100" not in text
    assert "| 10 | 9.000 | 5 | 5.000 | 5 |" in text
    assert "| 40 | 3.000 | 2 | 1.000 | 1 |" in text
    assert "python -m keras_sagan.evaluate --checkpoint=all" in text
    table = pd.read_csv(folder / "summary.csv")
    assert len(table) == 20
    assert table["value"].max() == 9
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert lines[0]["config"]["dataset"] == "digits"
    assert "data_dir" not in lines[0]["config"]  # Nobody else has that folder.


@pytest.mark.parametrize(
    ("metric", "part"),
    [
        ("fd2k", "expected fd2k by two extractors, at 4 checkpoints or more. Received: none at 0"),
        ("is100", "Received: classifier-1 at 5 common steps"),
        ("waves", "expected a metric of "),
    ],
)
def test_scores_that_nothing_can_agree_with_are_one_line(metric, part, run, tmp_path):
    assert_one_line(report(run, tmp_path / "report", metric), 2, part)
    assert not (tmp_path / "report").exists()
