"""A folder that is no folder of results is refused in one line, and nothing is written."""

import json
import re

import pandas as pd
import pytest
import suites
from rendered import render, write_speed

from benchmarks.report import results
from benchmarks.report.report_files import render_report
from benchmarks.report.suite_text import explain_metric
from benchmarks.report.summary import summarize_suite
from keras_sagan.errors import UsageError


def without_a_column(folder):
    suites.table().drop(columns=["value"]).to_parquet(folder / "results.parquet")


def no_table(folder):
    (folder / "results.parquet").write_text("no table")


def with_an_unknown_row(folder):
    table = suites.table()
    table.loc[0, "row"] = "other"
    table.to_parquet(folder / "results.parquet")


def with_a_line_twice(folder):
    table = suites.table()
    pd.concat([table, table[:1]]).to_parquet(folder / "results.parquet")


def without_a_reference(folder):
    (folder / "suite.json").write_text(json.dumps(suites.SUITE | {"reference": "none"}))


def without_keys(folder):
    (folder / "suite.json").write_text('{"suite": "small"}')


def without_metrics(folder):
    (folder / "suite.json").write_text(json.dumps(suites.SUITE | {"metrics": []}))


def no_json(folder):
    (folder / "suite.json").write_text("{")


def no_picture(folder):
    (folder / "samples" / "base.png").write_text("no picture")


def both_kinds(folder):
    (folder / "results.jsonl").write_text("{}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (without_a_column, "expected a table with columns value. Received: "),
        (no_table, "expected a Parquet table. Received: "),
        (with_an_unknown_row, "Received: ['other']"),
        (with_a_line_twice, "expected one line per value. Received: {'row': 'base'"),
        (without_a_reference, "Received: none"),
        (without_keys, "expected title, command, reference"),
        (without_metrics, "expected a list of metrics in "),
        (no_json, "expected JSON. Received: "),
        (no_picture, "expected a PNG file. Received: "),
        (both_kinds, "expected a folder with either suite.json and results.parquet, or"),
    ],
)
def test_a_broken_folder_is_one_line(tmp_path, damage, part):
    folder = suites.write(tmp_path / "report")
    damage(folder)
    refuse(folder, part)
    assert not (folder / "report.html").exists()


def refuse(folder, part):
    """What ends the command in one line; another test has the whole process."""
    with pytest.raises(UsageError, match=re.escape(part)) as error:
        render_report(folder)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_no_folder_and_broken_lines_are_one_line(tmp_path):
    code, error = render(tmp_path / "none")
    assert (code, error.count("\n")) == (2, 1)
    assert "Received: report_dir=" in error
    for number, (text, part) in enumerate([("", "which is empty"), ("{", ":1: "), ("[]", ":1")]):
        folder = write_speed(tmp_path / str(number), [])
        (folder / "results.jsonl").write_text(text)
        refuse(folder, part)


def test_metrics_of_earlier_results_have_their_current_names(tmp_path):
    folder = suites.write(tmp_path / "report")
    table = suites.table()
    table["metric"] = table["metric"].replace({"fd2k": "fcd2k"})
    table.to_parquet(folder / "results.parquet")
    earlier = suites.SUITE | {"metrics": ["fcd2k", "recall2k"]}
    (folder / "suite.json").write_text(json.dumps(earlier))
    suite = results.read_suite(folder / "suite.json")
    assert suite == suites.SUITE
    read = results.read_table(folder / "results.parquet", suite)
    pd.testing.assert_frame_equal(read, suites.table())


def test_results_of_a_newer_version_are_read_as_far_as_they_are_known(tmp_path):
    folder = suites.write(tmp_path / "report")
    table = suites.table().assign(power=1.5, host="a")
    table["step"] = table["step"].astype("int32")
    table.to_parquet(folder / "results.parquet", row_group_size=3, compression="gzip")
    newer = suites.SUITE | {"version": "99.0.0", "colors": {}}
    (folder / "suite.json").write_text(json.dumps(newer))
    suite = results.read_suite(folder / "suite.json")
    read = results.read_table(folder / "results.parquet", suite)
    assert summarize_suite(read, suite).equals(summarize_suite(suites.table(), suites.SUITE))


def test_columns_that_were_added_later_may_be_absent(tmp_path):
    folder = suites.write(tmp_path / "report")
    added = ["n_fake", "n_real", "commit", "config_hash"]
    suites.table().drop(columns=added).to_parquet(folder / "results.parquet")
    read = results.read_table(folder / "results.parquet", suites.SUITE)
    assert summarize_suite(read, suites.SUITE).equals(summarize_suite(suites.table(), suites.SUITE))


def test_a_score_of_a_newer_version_is_one_line(tmp_path):
    folder = suites.write(tmp_path / "report")
    table = suites.table()
    table["metric"] = table["metric"].replace({"recall2k": "waves2k"})
    table.to_parquet(folder / "results.parquet")
    code, error = render(folder)
    assert (code, error.count("\n")) == (2, 1)
    assert "expected a metric of " in error
    assert "Received: metric=waves2k" in error


def test_an_inception_score_is_told_from_a_classifiers():
    assert explain_metric("is50k", "tfgan") == "Inception Score"
    assert "classifier" in explain_metric("is2k", "classifier-5a2bfbb1")
