"""Curves over training steps as an SVG element that needs no script."""

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 240, 56, 12, 12, 28
# The most points in a curve; more would not be visible.
POINTS = 320

# (step, value), in the order of steps.
Points = Sequence[tuple[int, float]]


def svg_curves(curves: Mapping[str, Points], name: str, marked: Sequence[int]) -> str:
    """Draws a figure with one line for each curve.

    For each step in `marked` there is a vertical line of class `now`, which the style sheet hides
    and a script may show. Lines have the classes `line-0`, `line-1`, ..., each with its color and
    dashes.

    Args:
        curves: label to points.
        name: what the values are.
        marked: steps.

    Returns:
        Markup. Without values, it is a paragraph that says so.
    """
    curves = {label: thin_out(points) for label, points in curves.items() if points}
    if not curves:
        return f"<p>No record of {html.escape(name)}.</p>"
    end = max(*(points[-1][0] for points in curves.values()), *marked, 1)
    values = [value for points in curves.values() for _, value in points]
    ticks = nice_ticks(min(*values, 0), max(*values, 0))
    low, high = ticks[0], ticks[-1]

    def place(step, value):
        x = LEFT + step / end * (WIDTH - LEFT - RIGHT)
        y = TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f}", f"{y:.1f}"

    def marked_line(x):
        return f'<line class="now" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'

    paths = [" ".join(",".join(place(*point)) for point in curves[label]) for label in curves]
    parts = [
        *(tick_line(place(0, tick), tick) for tick in ticks),
        f'<text x="{LEFT}" y="{HEIGHT - 8}">step 0</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{end:,}</text>',
        *(marked_line(place(step, 0)[0]) for step in marked),
        *(f'<polyline class="line line-{i % 6}" points="{path}"/>' for i, path in enumerate(paths)),
    ]
    described = f"{name} over training, to step {end}; the values at the end are listed below"
    return (
        f'<figure class="curves"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(described)}">{"".join(parts)}</svg>\n'
        f'<figcaption><ul class="keys">{legend(curves)}</ul></figcaption></figure>'
    )


def thin_out(points: Points) -> Points:
    """Keeps about `POINTS` of them at most, among them the last."""
    every = -(-len(points) // POINTS)
    return points[::-1][::every][::-1]


def tick_line(place: tuple[str, str], tick: float) -> str:
    """A horizontal line from `place` with its value."""
    x, y = place
    kind = "zero" if tick == 0 else "grid"
    return (
        f'<line class="{kind}" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text x="{LEFT - 8}" y="{y}" dy=".35em" text-anchor="end">{tick:.3g}</text>'
    )


def legend(curves: Mapping[str, Points]) -> str:
    """List items with the line, the label and the last value of each curve."""
    return "".join(
        '<li><svg class="key" viewBox="0 0 28 8" aria-hidden="true">'
        f'<line class="line line-{i % 6}" x1="0" x2="28" y1="4" y2="4"/></svg>'
        f"{html.escape(label)}: {points[-1][1]:.3g}</li>"
        for i, (label, points) in enumerate(curves.items())
    )


def nice_ticks(low: float, high: float) -> list[float]:
    """At most seven round numbers, including zero, that enclose `low` <= 0 <= `high`."""
    span = (high - low) or 1.0
    unit = 10 ** math.floor(math.log10(span))
    step = next(unit * factor for factor in (0.2, 0.5, 1, 2) if span / (unit * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * i for i in range(first, max(last, first + 1) + 1)]
