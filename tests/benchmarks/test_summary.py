"""Numbers of a report, each known by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import suites

from benchmarks.report.summary import delta_interval, is_lower_better, summarize_suite
from keras_sagan.errors import UsageError


@pytest.fixture(scope="module")
def numbers():
    frame = summarize_suite(suites.table(), suites.SUITE)
    return frame.set_index(["row", "metric"]).sort_index()


def test_every_row_has_a_line_for_every_metric(numbers):
    assert numbers.index.is_unique
    assert len(numbers) == 5 * 2
    assert set(numbers["protocol"]) == {"judge-1"}


def test_last_is_the_mean_over_seeds_and_its_interval_their_range(numbers):
    base = numbers.loc["base", "fd2k"]
    assert (base.seeds, base.failed, base.last_mean) == (2, 0, 12)
    assert base.last_sd == pytest.approx(math.sqrt(8))  # (10 - 12)^2 + (14 - 12)^2, over 1.
    assert (base.last_low, base.last_high) == (10, 14)
    assert (base.delta, base.delta_low, base.delta_high) == (0, 0, 0)


def test_identical_seeds_have_a_point_for_an_interval():
    table = suites.table()
    table.loc[table["metric"] == "fd2k", "value"] = 7.0
    base = summarize_suite(table, suites.SUITE).iloc[0]
    assert (base.last_mean, base.last_sd, base.last_low, base.last_high) == (7, 0, 7, 7)


def test_best_is_of_each_seed_in_the_direction_of_the_metric(numbers):
    late = numbers.loc["late", "fd2k"]
    assert (late.best_mean, late.best_step_mean) == (10, 100)  # 8 and 12.
    assert (late.best_low, late.best_high) == (8, 12)
    assert late.best_sd == pytest.approx(math.sqrt(8))
    recall = numbers.loc["late", "recall2k"]
    assert recall.best_mean == pytest.approx((1 / 8 + 1 / 12) / 2)
    assert numbers.loc["base", "recall2k"].best_step_mean == 200


def test_differences_are_paired_by_seed(numbers):
    late = numbers.loc["late", "fd2k"]
    # 16 - 10 and 18 - 14; unpaired it would be from 16 - 14 to 18 - 10.
    assert (late.delta, late.delta_low, late.delta_high) == (5, 4, 6)


def test_rows_of_other_seeds_are_resampled_apart():
    own, reference = pd.Series([16.0, 18.0], [0, 1]), pd.Series([10.0, 14.0], [1, 2])
    assert delta_interval(own, reference) == (2, 8)


def test_a_diverged_run_counts_in_no_figure(numbers):
    half = numbers.loc["half", "fd2k"]
    assert (half.seeds, half.failed, half.last_mean, half.best_mean) == (1, 1, 20, 20)
    assert np.isnan([half.last_sd, half.last_low, half.best_high, half.delta_low]).all()
    assert half.delta == 8
    assert (half.reached, half.minutes_to_threshold) == (0, math.inf)
    assert half.images_per_s == 150
    assert half.status == "seed 1 diverged: d_loss is nan at step 150 | <b>stop</b>"


@pytest.mark.parametrize(
    ("row", "status"), [("gone", "failed: exit code -9: no output"), ("absent", "missing: ")]
)
def test_a_row_without_a_finished_run_stays(numbers, row, status):
    line = numbers.loc[row, "fd2k"]
    assert (line.seeds, line.failed) == (0, 2)
    figures = ["last_mean", "best_mean", "best_step_mean", "delta", "minutes", "images_per_s"]
    assert np.isnan(line[figures].to_numpy(float)).all()
    assert line.status.count(status) == 2


def test_a_suite_in_which_nothing_was_scored_has_its_lines_too():
    table = suites.table()
    frame = summarize_suite(table[table["protocol"] != "judge-1"], suites.SUITE)
    assert list(frame["metric"]) == ["fd2k"] * 5 + ["recall2k"] * 5
    assert frame["last_mean"].isna().all()


def test_a_headline_that_was_never_scored_stays_first():
    table = suites.table()
    frame = summarize_suite(table[table["metric"] != "fd2k"], suites.SUITE)
    assert list(frame["metric"]) == ["fd2k"] * 5 + ["recall2k"] * 5
    assert list(frame["seeds"]) == [0] * 5 + [2, 2, 1, 0, 0]


def test_time_to_the_threshold_is_that_of_the_first_good_step(numbers):
    late, base = numbers.loc["late", "fd2k"], numbers.loc["base", "fd2k"]
    # 8 after 1 minute; 12, which is just good enough, after 2.
    assert (late.minutes_to_threshold, late.reached) == (1.5, 2)
    assert (base.minutes_to_threshold, base.reached) == (math.inf, 1)
    other = numbers.loc["late", "recall2k"]
    assert np.isnan(other.minutes_to_threshold)
    assert other.reached is pd.NA


def test_cost_is_that_of_the_row(numbers):
    base = numbers.loc["base", "recall2k"]
    assert base.minutes == 2.5  # 120 and 180 seconds.
    assert base.images_per_s == 150.5  # The median of 100, 101, 200 and 201.
    assert base.g_parameters == 1_234_567
    assert np.isnan(base.d_macs)


def test_a_last_score_that_is_not_a_number_is_no_value():
    table = suites.table()
    where = (table["row"] == "base") & (table["seed"] == 0) & (table["step"] == 200)
    table.loc[where & (table["metric"] == "fd2k"), "value"] = np.nan
    base = summarize_suite(table, suites.SUITE).iloc[0]
    assert (base.seeds, base.last_mean) == (1, 14)
    assert base.best_mean == 22  # 30 at step 100, and 14.


def test_directions():
    assert is_lower_better("intra_fd2k")
    assert not is_lower_better("is50k")
    assert not is_lower_better("coherence2000")
    with pytest.raises(UsageError, match="Received: metric=fuzz2k"):
        is_lower_better("fuzz2k")
