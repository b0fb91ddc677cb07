"""Curves as SVG: points where the numbers are."""

import re

import pytest

from keras_sagan.visual import curves


def test_lines_stand_where_the_values_are():
    text = curves.svg_curves({"a & b": [(0, 0.0), (50, -0.1), (100, 0.2)]}, "gamma", [50])
    (points,) = re.findall(r'points="([^"]+)"', text)
    x, y = zip(*[map(float, point.split(",")) for point in points.split()], strict=True)
    left, right = curves.LEFT, curves.WIDTH - curves.RIGHT
    assert x == pytest.approx((left, (left + right) / 2, right))
    ticks = re.findall(r'y="([\d.]+)" dy=".35em" text-anchor="end">([-\d.]+)<', text)
    heights = {float(value): float(height) for height, value in ticks}
    assert y == pytest.approx([heights[value] for value in (0.0, -0.1, 0.2)], abs=0.11)
    assert heights[0.2] < heights[0.1] < heights[-0.1]  # The greater, the nearer to the top.
    assert f'class="now" x1="{x[1]:.1f}"' in text
    assert "a &amp; b: 0.2" in text


def test_long_curves_keep_their_last_point():
    thinned = curves.thin_out([(i, i) for i in range(10_000)])
    assert len(thinned) <= curves.POINTS
    assert thinned[-1] == (9999, 9999)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (-0.1, 0.2, [-0.1, 0, 0.1, 0.2]),
        (0, 0.37, [0, 0.1, 0.2, 0.3, 0.4]),
        (0, 0, [0, 0.2]),
        (-3e-5, 0, [-3e-5, -2e-5, -1e-5, 0]),
    ],
)
def test_ticks_are_round_and_enclose_the_values(low, high, ticks):
    assert curves.nice_ticks(low, high) == pytest.approx(ticks)


def test_no_values_are_said_so():
    assert curves.svg_curves({}, "gamma", [1]) == "<p>No record of gamma.</p>"
