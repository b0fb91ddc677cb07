"""The report on rows of speed, layers, serving and scaling."""

import pandas as pd

from benchmarks.report import plots
from benchmarks.report.document import Notice, Picture, Pictures, Section, Table
from benchmarks.report.formatting import (
    count_noun,
    decimal_places,
    format_interval,
    format_number,
    join_words,
)
from benchmarks.report.speed_table import (
    EVERYWHERE,
    FIGURES,
    RATIOS,
    SETTINGS,
    SHARED,
    TABLES,
    format_setting,
    sigma_columns,
)

TITLES = {
    "speed": "speed of training and sampling",
    "layers": "layers against their peers",
    "serving": "latency of an exported generator",
    "scaling": "training speed by the number of replicas",
    "scaling_expected": "predictions for many GPUs",
}
BARS = {
    "speed": ("train_images_per_s", "images per second in training"),
    "layers": ("ms_p50", "milliseconds, forward and backward"),
    "serving": ("images_per_s", "images per second of the graph alone"),
    "scaling": ("images_per_s", "images per second in training"),
    "scaling_expected": ("efficiency", "predicted efficiency without overlap"),
}
# Figures that span too many orders of magnitude for fixed decimals.
SMALL = ("gradient_distance", "output_distance", "kernel_change", "sigma_errors")
NOTES = {
    "speed": (
        "In each round, every setting is measured once in its own process; figures are medians "
        "over rounds. Ratios are of images per second, to the first setting of the same run in "
        "the same round: the median, with minimum and maximum in brackets. Utilization is the "
        "FLOP/s of training as a fraction of a matrix product's in the same process."
    ),
    "layers": (
        "Times are for a pass forward and backward. Ratios are of milliseconds, to keras_sagan in "
        "the same round: the median, with minimum and maximum in brackets. Gradient distance is "
        "relative to the gradient by autodiff (for attention: to keras_sagan's gradient). Kernel "
        "change is how much two training calls alone change the weights. Sigma error is how far "
        "the kernel in use is from spectral norm 1, by step."
    ),
    "serving": (
        "The exported graph is called in a Session, as TensorFlow Serving does, one call at a time "
        "and without a network. Percentiles are over the calls of all rounds; other figures are "
        "medians over rounds. Ratios are of images per second, to the first setting of the same "
        "run in the same round: the median, with minimum and maximum in brackets."
    ),
    "scaling": (
        "A setting is a number of processes and of replicas in each. Every replica has the same "
        "number of images and, if cores is not 0, that number of cores to itself. In each round, "
        "every setting is measured once; figures are medians over rounds. Ratios are of images per "
        "second, to the first setting in the same round: the median, with minimum and maximum in "
        "brackets. Efficiency is the ratio divided by the number of replicas. All-reduced is the "
        "size of the all-reduce operations per replica in the graph of a step; gradients is the "
        "minimum they must have."
    ),
    "scaling_expected": (
        "These rows are arithmetic, not measurements. They use the counted costs and bytes of the "
        "default networks (128 pixels, 64 channels, 1,000 classes). They assume the stated peak "
        "rate and links of the GPU. They also assume that, at every batch size, training achieves "
        "the share of the peak that it achieved of a matrix product's rate in the first setting "
        "above; a GPU's share was not measured. Gradients are summed in rings, 2 (n - 1) / n times "
        "their bytes for each GPU, over the network if there are several hosts; each all-reduce "
        "also costs a fixed latency. Ratios are to one GPU, without overlap of exchange and "
        "computation; the brackets extend to as much overlap as fits. Feeding images is not "
        "included."
    ),
}


def report_title(table):
    return capitalize_first(
        "; ".join(TITLES[benchmark] for benchmark in table["benchmark"].unique())
    )


def capitalize_first(text):
    """Capitalizes the first letter and leaves the others, as in GPUs."""
    return text[:1].upper() + text[1:]


def speed_sections(table):
    """All sections, in order; `table` is from `speed_table.flatten_rows`."""
    parts = [Section("Status", status_blocks(table))]
    for benchmark, own in table.groupby("benchmark", sort=False):
        blocks = [describe_common(own, benchmark), NOTES[benchmark]]
        for values, rows in own.groupby(TABLES[benchmark], sort=False, dropna=False):
            blocks += group_blocks(rows, benchmark, values)
        parts.append(Section(capitalize_first(TITLES[benchmark]), blocks))
    return [*parts, Section("Provenance", [provenance_table(table)])]


def status_blocks(table):
    bad = table[table["status"] != "ok"]
    if bad.empty:
        return [f"All {count_noun(len(table), 'row')} have figures."]
    lines = []
    for _, row in bad.iterrows():
        benchmark, reason = row["benchmark"], format_setting(row["error"])
        setting = describe_setting([*TABLES[benchmark], *SETTINGS[benchmark]], row)
        lines.append([benchmark, setting, row["status"], reason])
    text = f"{len(bad)} of {count_noun(len(table), 'row')} have no figures."
    header = ["benchmark", "setting", "status", "reason"]
    return [Notice(text), Table("Rows without figures", header, lines, texts=4)]


def describe_setting(names, values):
    return ", ".join(f"{name} {format_setting(values[name])}" for name in names)


def describe_common(rows, benchmark):
    """Sentences on the settings that all rows share."""
    names = [*SHARED[benchmark], *EVERYWHERE, "compared_with"]
    values = {name: rows[name].dropna().unique() for name in names}
    same = {name: format_setting(own[0]) for name, own in values.items() if len(own) == 1}
    reference = same.pop("compared_with", None)
    text = f"Equal for all rows: {', '.join(f'{name} {value}' for name, value in same.items())}."
    return f"{text} Ratios are to {reference}." if reference else text


def group_blocks(rows, benchmark, values):
    """The table and bars of one group of rows, e.g. of one image size and precision."""
    names = TABLES[benchmark]
    what = describe_setting(names, dict(zip(names, values, strict=True)))
    others = [*SHARED[benchmark], *EVERYWHERE, "compared_with"]
    texts = [*SETTINGS[benchmark], *(name for name in others if rows[name].nunique() > 1)]
    bad = ["status"] if (rows["status"] != "ok").any() else []
    sigmas = {name: f"sigma error, step {name.split('.')[1]}" for name in sigma_columns(rows)}
    figures = (FIGURES[benchmark] | sigmas).items()
    figures = {name: text for name, text in figures if rows[name].notna().any()}
    columns = [[format_setting(value) for value in rows[name]] for name in (*texts, *bad)]
    columns += [ratio_cells(rows)]
    columns += [number_cells(rows[name], name) for name in figures]
    header = [name.replace("_", " ") for name in (*texts, *bad)]
    header += ["ratio", *figures.values()]
    lines = [list(line) for line in zip(*columns, strict=True)]
    table = Table(what, header, lines, texts=len(texts) + len(bad))
    return [table, *bar_blocks(rows, benchmark, texts, what)]


def ratio_cells(rows):
    places = min(decimal_places(rows["ratio"], 3), 2)
    cells = []
    for ratio, *ends in zip(*(rows[name] for name in RATIOS), strict=True):
        text = format_number(ratio, places)
        cells.append(f"{text} {format_interval(*ends, places)}" if pd.notna(ratio) else text)
    return cells


def number_cells(values, name):
    if name.startswith(SMALL):
        return [f"{value:.2g}" if pd.notna(value) else format_number(value, 0) for value in values]
    if name.endswith("_macs"):
        values = values / 1e6
    places = decimal_places(values)
    return [format_number(value, places) for value in values]


def bar_blocks(rows, benchmark, texts, what):
    """Bars of the main figure, with whiskers over rounds if known; none without the figure."""
    name, label = BARS[benchmark]
    rows = rows[rows[name].notna()]
    if rows.empty:
        return []
    values, low, high = {}, {}, {}
    for _, row in rows.iterrows():
        key = setting_label(row, texts, values)
        by_round = row.get(f"{name}_by_round")
        rounds = [row[name]] if by_round is None or isinstance(by_round, float) else by_round
        values[key] = row[name]
        low[key], high[key] = min(row[name], *rounds), max(row[name], *rounds)
    values_text = [f"{key}: {value:.4g}" for key, value in values.items()]
    whiskers = "; whiskers: minimum and maximum over rounds" if low != high else ""
    path = f"plots/{benchmark}_{'_'.join(what.replace(',', '').split())}.png"
    data = plots.draw_bars(values, low, high, label)
    alt = f"Bars of {label}, {what}: {'; '.join(values_text)}."
    return [Pictures([Picture(path, data, alt, f"{label.capitalize()}, {what}{whiskers}.")])]


def setting_label(row, texts, taken):
    """A unique name for a bar."""
    long = ("compared_with", "commit")  # The table has them.
    name, *others = [f"{format_setting(row[text])}" for text in texts if text not in long]
    label = f"{name} ({', '.join(others)})" if others else name
    count = sum(other.split(" #")[0] == label for other in taken)
    return f"{label} #{count + 1}" if count else label


def provenance_table(table):
    """A line for each benchmark, command, commit, machine and set of versions."""
    versions = [name for name in table if name.startswith("versions.")]
    lines = {}
    for _, row in table.iterrows():
        known = [name for name in versions if pd.notna(row[name])]
        packages = [f"{name.removeprefix('versions.')} {row[name]}" for name in known]
        names = ("benchmark", "command", "commit", "machine", "cpus")
        place = [format_setting(row[name]) if name in row else "" for name in names]
        lines.setdefault((*place, ", ".join(packages)), []).append(format_setting(row["device"]))
    rows = [
        [*line, join_words(sorted(set(filter(None, devices))))] for line, devices in lines.items()
    ]
    header = ["benchmark", "command", "commit", "machine", "CPUs", "versions", "device"]
    return Table("Where the figures come from", header, rows, texts=7)
