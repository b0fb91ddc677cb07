"""Plots of reports, as PNG bytes: legible on a phone and without color vision, and deterministic.

A row has the same color, line style and marker in all plots of a report; they follow from its
position in `order`.
"""

import io
import math

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

# Okabe and Ito's colors, with black first and without yellow, which is too faint for lines.
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MOST_MARKERS = 30
WIDTH, HEIGHT, LEGEND_LINE = 5.0, 3.6, 0.23  # Inches.
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "legend.handlelength": 2.8,
}


def draw_curves(lines, order, x_label, y_label, log=False):
    """Draws a line per row: the mean of its finished runs, in a band from minimum to maximum.

    Points are drawn at the steps that all finished runs have, at the mean `x` of the runs, without
    interpolation. A run that did not finish is a separate thin dotted line that ends in a cross.

    Args:
        lines: DataFrame with columns `row`, `seed`, `step`, `status`, `x` and `value`.
        order: list of all rows of the report; rows without lines here are omitted.
        x_label: str.
        y_label: str.
        log: whether the vertical axis is logarithmic.
    """
    present = [row for row in order if row in set(lines["row"])]
    with matplotlib.style.context(STYLE, after_reset=True):
        figure, axes, legend = new_figure(present)
        for row in present:
            draw_row(axes, lines[lines["row"] == row], style_of(order.index(row)), row)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        if log:
            set_log(axes)
        placed = legend_columns(present) | {"loc": "upper left"}
        legend.legend(*axes.get_legend_handles_labels(), **placed)
        legend.axis("off")
        return encode_png(figure)


def draw_row(axes, lines, style, label):
    finished = lines[lines["status"] == "ok"]
    by_seed = finished.pivot_table(index="step", columns="seed", values=["x", "value"]).dropna()
    line, marker = style
    if len(by_seed):
        x, values = by_seed["x"].mean(axis=1), by_seed["value"]
        marked = {"marker": marker} if len(by_seed) <= MOST_MARKERS else {}
        axes.plot(x, values.mean(axis=1), label=label, **line, **marked)
        if values.shape[1] > 1:
            low, high = values.min(axis=1), values.max(axis=1)
            axes.fill_between(x, low, high, color=line["color"], alpha=0.15, linewidth=0)
    thin = {"color": line["color"], "linestyle": ":", "linewidth": 1.2}
    for index, (_, run) in enumerate(lines[lines["status"] != "ok"].groupby("seed")):
        named = {} if len(by_seed) or index else {"label": label}
        run = run[np.isfinite(run["value"])].sort_values("step")
        axes.plot(run["x"], run["value"], **named, **thin)
        axes.plot(run["x"][-1:], run["value"][-1:], "x", color=line["color"], markersize=8, mew=2)


def style_of(place):
    """Color and line style, and marker, of a row; color and style repeat after 35 rows."""
    line = {"color": COLORS[place % len(COLORS)], "linestyle": LINES[place % len(LINES)]}
    return line, MARKERS[place % len(MARKERS)]


def draw_bars(values, low, high, x_label):
    """Draws bars with whiskers; `values`, `low` and `high` are dicts by label."""
    labels, lengths = list(values), np.array(list(values.values()))
    below = lengths - np.array([low[label] for label in labels])
    above = np.array([high[label] for label in labels]) - lengths
    with matplotlib.style.context(STYLE, after_reset=True):
        figure = Figure((WIDTH, 1.0 + 0.42 * len(labels)), dpi=200, layout="constrained")
        axes = figure.add_subplot()
        axes.barh(labels, lengths, color="#0072B2", height=0.62)
        whiskers = {"fmt": "none", "ecolor": "#000000", "elinewidth": 1.3, "capsize": 3}
        if (below + above).any():
            axes.errorbar(lengths, labels, xerr=[below, above], **whiskers)
        for index, length in enumerate(lengths):
            end = (length + above[index], index)
            text = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(f"{length:.3g}" if length < 1000 else f"{length:,.0f}", end, **text)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.18)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(x_label)
        return encode_png(figure)


def has_wide_range(values):
    """Whether values need a logarithmic axis: all are positive, and they differ widely."""
    values = values[np.isfinite(values)]
    return bool(len(values)) and values.min() > 0 and values.max() / values.min() > 5


def new_figure(labels):
    """A figure with axes, and with room below them for a legend of `labels`."""
    legend_height = 0.1 + LEGEND_LINE * math.ceil(len(labels) / legend_columns(labels)["ncols"])
    figure = Figure((WIDTH, HEIGHT + legend_height), dpi=200, layout="constrained")
    axes, legend = figure.subplots(2, height_ratios=[HEIGHT, legend_height])
    return figure, axes, legend


def legend_columns(labels):
    """Arguments of a legend with as many columns as fit."""
    longest = max(map(len, labels), default=0)
    return {"ncols": 1 if longest > 16 else 2 if longest > 9 else 3, "borderaxespad": 0}


def set_log(axes):
    axes.set_yscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:,g}")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_formatter(NullFormatter())


def encode_png(figure):
    """PNG bytes without date or Matplotlib version, so that equal figures give equal bytes."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
