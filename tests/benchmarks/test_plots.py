"""Plots show what they say, and are the same each time."""

import struct

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.report import plots

LINES = pd.DataFrame(
    [
        ("a", 0, 100, "ok", 1.0, 10.0),
        ("a", 0, 200, "ok", 2.0, 20.0),
        ("a", 1, 100, "ok", 3.0, 30.0),
        ("b", 0, 100, "diverged", 1.0, 5.0),
        ("b", 0, 200, "diverged", 2.0, 9.0),
        ("b", 0, 300, "diverged", 3.0, np.nan),
    ],
    columns=["row", "seed", "step", "status", "x", "value"],
)


def test_a_point_is_the_mean_of_runs_that_all_have_the_step():
    axes = Figure().add_subplot()
    plots.draw_row(axes, LINES[LINES["row"] == "a"], plots.style_of(0), "a")
    (line,) = axes.lines
    assert line.get_xydata().tolist() == [[2, 20]]
    (band,) = axes.collections
    assert sorted(set(band.get_paths()[0].vertices[:, 1])) == [10, 30]


def test_a_run_that_did_not_finish_ends_in_a_cross():
    axes = Figure().add_subplot()
    plots.draw_row(axes, LINES[LINES["row"] == "b"], plots.style_of(1), "b")
    path, cross = axes.lines
    assert path.get_xydata().tolist() == [[1, 5], [2, 9]]
    assert path.get_label() == "b"
    assert (cross.get_xydata().tolist(), cross.get_marker()) == ([[2, 9]], "x")


def test_rows_differ_in_more_than_color():
    styles = [plots.style_of(place) for place in range(35)]
    assert len({(line["color"], line["linestyle"]) for line, _ in styles}) == 35
    assert len({marker for _, marker in styles[:8]}) == 8


def test_equal_figures_are_equal_bytes():
    def draw():
        return plots.draw_curves(LINES, ["a", "b"], "steps", "fd2k", log=True)

    data = draw()
    assert data == draw()
    assert b"Software" not in data
    assert struct.unpack(">I", data[16:20]) == (1000,)


def test_a_logarithmic_axis_is_for_positive_values_far_apart():
    assert plots.has_wide_range(pd.Series([1.0, 10.0, np.nan]))
    assert not plots.has_wide_range(pd.Series([1.0, 2.0]))
    assert not plots.has_wide_range(pd.Series([0.0, 10.0]))
    assert not plots.has_wide_range(pd.Series([np.nan]))
