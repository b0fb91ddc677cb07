"""The report of rows of the benchmarks besides suites."""

import pandas as pd

from benchmarks import plots
from benchmarks.cells import between, counted, decimals, fixed, listed
from benchmarks.page import Notice, Picture, Pictures, Section, Table
from benchmarks.speed_table import (
    EVERYWHERE,
    FIGURES,
    SETTINGS,
    SHARED,
    TABLES,
    plain,
    sigma_columns,
)

TITLES = {
    "speed": "speed of training and sampling",
    "layers": "layers against their peers",
    "serving": "latency of an exported generator",
    "scaling": "training speed by the number of replicas",
    "scaling_expected": "what to expect of many GPUs",
}
BARS = {
    "speed": ("train_images_per_s", "images per second in training"),
    "layers": ("ms_p50", "milliseconds, forward and back"),
    "serving": ("images_per_s", "images per second of the graph alone"),
    "scaling": ("images_per_s", "images per second in training"),
    "scaling_expected": ("efficiency", "expected efficiency, nothing hidden"),
}
# Over so many orders of magnitude that fixed decimals show nothing.
SMALL = ("gradient_distance", "output_distance", "kernel_change", "sigma_errors")
NOTES = {
    "speed": (
        "In each round every setting has one turn in a process of its own; figures are medians "
        "over rounds. A ratio is of images per second to those of the first setting of the same "
        "run, round by round: its median, and in brackets its least and most. Utilization is the "
        "part of a matrix product's FLOP/s, measured in the same turn, that training achieves."
    ),
    "layers": (
        "Times are of a pass forward and back. A ratio is of milliseconds to those of "
        "keras_sagan, round by round: its median, and in brackets its least and most. Gradient "
        "distance is relative to the gradient by autodiff (attention: to that of keras_sagan), "
        "kernel change is what two training calls alone do to the weights, sigma error by step how "
        "far the kernel that is used is from spectral norm 1."
    ),
    "serving": (
        "Calls of the exported graph in a Session, as TensorFlow Serving makes them, one after the "
        "other and without a network. Percentiles are over the calls of all rounds, other figures "
        "medians over rounds. A ratio is of images per second to those of the first setting of the "
        "same run, round by round: its median, and in brackets its least and most."
    ),
    "scaling": (
        "A setting is processes x replicas in each; every replica has as many images and, if cores "
        "is not 0, so many cores to itself. In each round every setting has one turn; figures are "
        "medians over rounds. A ratio is of images per second to those of the first setting, round "
        "by round: its median, and in brackets its least and most; efficiency is that ratio over "
        "the number of replicas. All-reduced is what the graph of a step has of all-reduce "
        "operations for each replica, and gradients what it needs to have at least."
    ),
    "scaling_expected": (
        "Arithmetic, not measurements: the default networks (128 pixels, 64 channels, 1,000 "
        "classes), whose costs and bytes are counted. Assumed are the GPU's peak rate and links as "
        "stated, and that training achieves the share of the peak that it achieved of a matrix "
        "product's rate in the first setting above, at every batch size: a GPU's share was not "
        "measured. Gradients are added up in rings, 2 (n - 1) / n times their bytes for each GPU, "
        "over the network once there are several hosts; each all-reduce costs a fixed latency "
        "besides. A ratio is to one GPU, with nothing of the exchange hidden behind computing; in "
        "brackets up to as much hidden as fits. Feeding images is not part of it."
    ),
}


def title(table):
    return sentence("; ".join(TITLES[benchmark] for benchmark in table["benchmark"].unique()))


def sentence(text):
    """With a capital first letter, and the others as they are: GPUs."""
    return text[:1].upper() + text[1:]


def sections(table):
    """All sections, in order; `table` as of `speed_table.flat`."""
    parts = [Section("Status", status(table))]
    for benchmark, own in table.groupby("benchmark", sort=False):
        blocks = [common(own, benchmark), NOTES[benchmark]]
        for values, rows in own.groupby(TABLES[benchmark], sort=False, dropna=False):
            blocks += group_blocks(rows, benchmark, values)
        parts.append(Section(sentence(TITLES[benchmark]), blocks))
    return [*parts, Section("Provenance", [provenance(table)])]


def status(table):
    bad = table[table["status"] != "ok"]
    if bad.empty:
        return [f"All {counted(len(table), 'row')} have figures."]
    lines = [
        [
            row["benchmark"],
            ", ".join(f"{name} {plain(row[name])}" for name in keys(row["benchmark"])),
            row["status"],
            plain(row["error"]),
        ]
        for _, row in bad.iterrows()
    ]
    text = f"{len(bad)} of {counted(len(table), 'row')} have no figures."
    header = ["benchmark", "setting", "status", "reason"]
    return [Notice(text), Table("Rows without figures", header, lines, texts=4)]


def keys(benchmark):
    return [*TABLES[benchmark], *SETTINGS[benchmark]]


def varying(rows, benchmark):
    """What was set besides the settings' names and is not the same for all of `rows`."""
    names = [*SHARED[benchmark], *EVERYWHERE, "compared_with"]
    return [name for name in names if rows[name].nunique() > 1]


def common(rows, benchmark):
    """Sentences on what all rows share."""
    names = [*SHARED[benchmark], *EVERYWHERE, "compared_with"]
    values = {name: rows[name].dropna().unique() for name in names}
    same = {name: plain(own[0]) for name, own in values.items() if len(own) == 1}
    reference = same.pop("compared_with", None)
    said = f"Alike for all rows: {', '.join(f'{name} {value}' for name, value in same.items())}."
    return f"{said} Ratios are to {reference}." if reference else said


def group_blocks(rows, benchmark, values):
    """A table of the rows that have, say, one image size and one precision, and their bars."""
    named = zip(TABLES[benchmark], values, strict=True)
    what = ", ".join(f"{name} {plain(value)}" for name, value in named)
    texts = [*SETTINGS[benchmark], *varying(rows, benchmark)]
    bad = ["status"] if (rows["status"] != "ok").any() else []
    figures = {name: text for name, text in FIGURES[benchmark].items() if rows[name].notna().any()}
    figures |= {
        name: f"sigma error, step {name.split('.')[1]}"
        for name in sigma_columns(rows)
        if rows[name].notna().any()
    }
    columns = [[plain(value) for value in rows[name]] for name in (*texts, *bad)]
    columns += [ratios(rows)]
    columns += [numbers(rows[name], name) for name in figures]
    header = [name.replace("_", " ") for name in (*texts, *bad)]
    header += ["ratio", *figures.values()]
    lines = [list(line) for line in zip(*columns, strict=True)]
    table = Table(what, header, lines, texts=len(texts) + len(bad))
    return [table, *bars(rows, benchmark, texts, what)]


def ratios(rows):
    places = min(decimals(rows["ratio"], 3), 2)
    return [
        f"{fixed(row.ratio, places)} {between(row.ratio_least, row.ratio_most, places)}"
        if pd.notna(row.ratio)
        else fixed(row.ratio, places)
        for row in rows.itertuples()
    ]


def numbers(values, name):
    if name.startswith(SMALL):
        return [f"{value:.2g}" if pd.notna(value) else fixed(value, 0) for value in values]
    if name.endswith("_macs"):
        values = values / 1e6
    places = decimals(values)
    return [fixed(value, places) for value in values]


def bars(rows, benchmark, texts, what):
    """Bars of the first figure, whiskered over rounds where they are known; none without one."""
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
    said = [f"{key}: {value:.4g}" for key, value in values.items()]
    whiskers = "; whiskers: least and most round" if any(low[k] < high[k] for k in low) else ""
    path = f"plots/{benchmark}_{'_'.join(what.replace(',', '').split())}.png"
    data = plots.bars(values, low, high, label)
    alt = f"Bars of {label}, {what}: {'; '.join(said)}."
    return [Pictures([Picture(path, data, alt, f"{label.capitalize()}, {what}{whiskers}.")])]


def setting_label(row, texts, taken):
    """A name for a bar that no other has."""
    long = ("compared_with", "commit")  # They stand in the table.
    name, *others = [f"{plain(row[text])}" for text in texts if text not in long]
    label = f"{name} ({', '.join(others)})" if others else name
    count = sum(other.split(" #")[0] == label for other in taken)
    return f"{label} #{count + 1}" if count else label


def provenance(table):
    """One line for each commit, machine and set of versions."""
    versions = [name for name in table if name.startswith("versions.")]
    lines = {}
    for _, row in table.iterrows():
        packages = [
            f"{name.removeprefix('versions.')} {row[name]}"
            for name in versions
            if pd.notna(row[name])
        ]
        names = ("benchmark", "command", "commit", "machine", "cpus")
        place = [plain(row[name]) if name in row else "" for name in names]
        lines.setdefault((*place, ", ".join(packages)), []).append(plain(row["device"]))
    rows = [[*line, listed(sorted(set(filter(None, devices))))] for line, devices in lines.items()]
    header = ["benchmark", "command", "commit", "machine", "CPUs", "versions", "device"]
    return Table("Where the figures come from", header, rows, texts=7)
