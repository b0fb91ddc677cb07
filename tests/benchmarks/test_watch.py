"""Runs that collapsed or went back to a checkpoint, from their records to the report."""

import json

import pandas as pd
import suites

from benchmarks.comparison import collect
from benchmarks.report.document import Notice, Table
from benchmarks.report.suite_report import warning_blocks
from benchmarks.report.summary import find_collapsed, find_rolled_back
from keras_sagan.runs.directory import RunDirectory


def watched(run, *values):
    """Lines of diversities at steps 100, 200, ..."""
    return [
        suites.line(run, 100 * (i + 1), 60, "diversity", "watch", value)
        for i, value in enumerate(values)
    ]


def test_collapse_is_a_fall_or_has_no_end():
    lines = [
        *watched(("base", 0), 0.9, 0.8, 1.1),
        *watched(("base", 1), 0.05, 0.04, 0.5),  # It learns.
        *watched(("late", 0), 0.02, 0.5, 0.07, 0.06, 0.4),
        *watched(("late", 1), 0.03, 0.01, 0.02),
    ]
    found = find_collapsed(pd.DataFrame(lines[::-1])).set_index(["row", "seed"]).sort_index()
    assert found.loc["late", 0].tolist() == [0.06, 400, 0.4]
    assert found.loc["late", 1].tolist() == [0.01, 200, 0.02]
    assert len(found) == 2


def test_report_warns_of_runs_that_collapsed_or_went_back():
    table = suites.table()
    assert warning_blocks(table) == []
    fall = pd.DataFrame(watched(("late", 1), 0.9, 0.0123))
    alike, alike_table = warning_blocks(pd.concat([table, fall]))
    assert isinstance(alike, Notice)
    assert alike.text.startswith("1 run collapsed: the mean distance between samples of one class")
    assert "less than 10% of the distance between real images" in alike.text
    assert isinstance(alike_table, Table)
    assert alike_table.rows == [["late", "1", "0.012", "200", "0.012"]]
    back = [suites.line(("half", 0), step, 60, "rollback", "train", 1) for step in (100, 200)]
    gone_back, back_table = warning_blocks(pd.concat([table, pd.DataFrame(back)]))
    assert gone_back.text.startswith("1 run produced non-finite numbers")
    assert back_table.rows == [["half", "0", "2"]]


def test_records_become_lines(tmp_path):
    records = [
        {"step": 5, "seconds": 1.0, "d_loss": 2.0, "d_gradient_norm": 3.0},
        {"step": 5, "seconds": 1.5, "rollback": 1, "bad_step": 7, "bad": "g_loss"},
    ]
    scores = [{"step": 5, "thumbnail_fd512": 4.0}, {"step": 10, "diversity": 0.25}]
    for name, rows in (("train", records), ("scores", scores)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text + '{"step": 15, "div')
    lines = collect.training_lines(RunDirectory(tmp_path))
    values = [(line["step"], line["metric"], line["value"]) for line in lines]
    assert values == [
        (5, "d_loss", 2.0),
        (5, "d_gradient_norm", 3.0),
        (5, "rollback", 1),
        (5, "bad_step", 7),
    ]
    (line,) = collect.diversity_lines(RunDirectory(tmp_path))
    assert (line["step"], line["protocol"], line["value"]) == (10, "watch", 0.25)
    assert find_rolled_back(
        pd.DataFrame(columns=["row", "seed", "metric", "protocol", "value"])
    ).empty
    assert find_collapsed(suites.table()).empty


def test_scores_of_a_run_have_their_current_names_and_the_newest_values(tmp_path):
    records = [
        {"step": 10, "metric": "fcd64/classifier-1", "value": 1.0},
        {"step": 10, "metric": "fd64/classifier-1", "value": 2.0},
        {"step": 10, "metric": "cs64/classifier-1", "value": 3.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records))
    lines = collect.score_lines(RunDirectory(tmp_path))
    values = [(line["metric"], line["protocol"], line["value"]) for line in lines]
    assert values == [("fd64", "classifier-1", 2.0), ("is64", "classifier-1", 3.0)]
