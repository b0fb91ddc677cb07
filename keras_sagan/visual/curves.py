"""Curves over training steps as an SVG element, drawn without a script."""

import html
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 240, 56, 12, 12, 28
# More points than these cannot be seen.
POINTS = 320


def svg_curves(curves, name, marked):
    """A figure with one line for each curve.

    Its `svg` has a vertical line of class `now` for each of `marked`, hidden by its style; a script
    shows one. Lines have the classes `line-0`, `line-1`, ... in colors and dashes of their own.

    Args:
        curves: dict: label to a list of (step, value), steps ascending.
        name: str, what the values are.
        marked: list of steps.

    Returns:
        str, markup; a paragraph that says so where there are no values.
    """
    curves = {label: thinned(points) for label, points in curves.items() if points}
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

    parts = [horizontal(place(0, tick), tick) for tick in ticks]
    bottom = f'y="{HEIGHT - 8}"'
    parts += [
        f'<text x="{LEFT}" {bottom}>step 0</text>',
        f'<text x="{WIDTH - RIGHT}" {bottom} text-anchor="end">{end:,}</text>',
    ]
    for step in marked:
        x, _ = place(step, 0)
        parts.append(f'<line class="now" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    for i, points in enumerate(curves.values()):
        path = " ".join(",".join(place(*point)) for point in points)
        parts.append(f'<polyline class="line line-{i % 6}" points="{path}"/>')
    keys = "".join(
        '<li><svg class="key" viewBox="0 0 28 8" aria-hidden="true">'
        f'<line class="line line-{i % 6}" x1="0" x2="28" y1="4" y2="4"/></svg>'
        f"{html.escape(label)}: {points[-1][1]:.3g}</li>"
        for i, (label, points) in enumerate(curves.items())
    )
    said = f"{name} over training, to step {end}; the values at the end are listed below"
    return (
        f'<figure class="curves"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(said)}">{"".join(parts)}</svg>\n'
        f'<figcaption><ul class="keys">{keys}</ul></figcaption></figure>'
    )


def thinned(points):
    """At most about `POINTS` of them, the last among them."""
    every = -(-len(points) // POINTS)
    return points[::-1][::every][::-1]


def horizontal(place, tick):
    x, y = place
    kind = "zero" if tick == 0 else "grid"
    return (
        f'<line class="{kind}" x1="{x}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text x="{LEFT - 8}" y="{y}" dy=".35em" text-anchor="end">{tick:.3g}</text>'
    )


def nice_ticks(low, high):
    """At most seven round numbers, zero among them, that enclose `low` <= 0 <= `high`."""
    span = (high - low) or 1.0
    unit = 10 ** math.floor(math.log10(span))
    step = next(unit * factor for factor in (0.2, 0.5, 1, 2) if span / (unit * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * i for i in range(first, max(last, first + 1) + 1)]
