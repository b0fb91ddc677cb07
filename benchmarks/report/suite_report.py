"""The sections of a suite's report: what was compared, its numbers, where they come from."""

from benchmarks import suite_plots, suite_text
from benchmarks.cells import NONE, between, counted, decimals, fixed, listed, plus_minus
from benchmarks.page import Code, Notice, Pictures, Section, Table
from benchmarks.suite_plots import full_name
from benchmarks.summary import collapsed, diverged, less_is_better, runs

LAST = "At the last step: mean ± standard deviation over seeds"
DIFFERENCE = "Difference to the reference, with its 95% interval"


def sections(table, suite, numbers, samples, published):
    """All sections, in order.

    Args:
        table: DataFrame, as `results.parquet`.
        suite: dict, as `suite.json`.
        numbers: DataFrame, `summary.summary` of both.
        samples: dict of PNG bytes by row.
        published: DataFrame, as `published.csv`.
    """
    all_runs = runs(table, suite)
    shown = [pair for pair in pairs_of(numbers) if pair[0] in suite["metrics"]]
    headline = [pair for pair in shown if pair[0] == suite["metrics"][0]]
    others = [pair for pair in pairs_of(numbers) if pair not in headline]
    curves = suite_plots.score_pictures(table, suite, shown)
    parts = [
        ("What was compared", [suite_text.compared(table, suite, all_runs)]),
        ("Status", [*status(all_runs), *warnings(table)]),
        ("Headline", [headline_table(numbers, suite, pair) for pair in headline]),
        ("Other metrics", other_tables(numbers, suite, others)),
        ("Curves", [suite_text.CURVES, Pictures(curves)] if curves else []),
        ("Speed", pictures(suite_plots.speed_pictures(table, suite))),
        ("Gamma", pictures(suite_plots.gamma_pictures(table, suite))),
        ("Samples", sample_blocks(suite, samples)),
        ("Published numbers", [suite_text.PUBLISHED, published_table(published)]),
        ("How to read the numbers", how_to_read(suite, numbers)),
        ("Provenance", provenance(table, suite)),
    ]
    return [Section(heading, blocks) for heading, blocks in parts if blocks]


def pairs_of(numbers):
    return list(dict.fromkeys(zip(numbers["metric"], numbers["protocol"], strict=True)))


def lines_of(numbers, pair):
    return numbers[(numbers["metric"] == pair[0]) & (numbers["protocol"] == pair[1])]


def pictures(members):
    return [Pictures(members)] if members else []


def status(all_runs):
    bad = all_runs[all_runs["status"] != "ok"]
    if bad.empty:
        return [f"All {counted(len(all_runs), 'run')} finished."]
    lines = [[run.row, str(run.seed), run.status, run.reason] for run in bad.itertuples()]
    text = (
        f"{len(bad)} of {counted(len(all_runs), 'run')} did not finish. They count in no mean, "
        "interval, speed or time below; what they scored until then is in the curves."
    )
    caption = "Runs that did not finish"
    return [Notice(text), Table(caption, ["row", "seed", "status", "reason"], lines, texts=4)]


def warnings(table):
    """What happened to runs on the way, whether they finished or not."""
    blocks, alike, back = [], collapsed(table), diverged(table)
    if len(alike):
        lines = [
            [run.row, str(run.seed), fixed(run.least, 3), fixed(run.at, 0), fixed(run.last, 3)]
            for run in alike.itertuples()
        ]
        header = ["row", "seed", "least", "at step", "last"]
        caption = "Diversity of samples, in parts of that of real images"
        blocks += [Notice(suite_text.alike(len(alike))), Table(caption, header, lines, texts=2)]
    if len(back):
        lines = [[run.row, str(run.seed), str(run.times)] for run in back.itertuples()]
        caption = "Runs that went back to a checkpoint"
        blocks += [
            Notice(suite_text.back(len(back))),
            Table(caption, ["row", "seed", "times"], lines, texts=2),
        ]
    return blocks


def headline_table(numbers, suite, pair):
    """The table that a hurried reader looks at."""
    lines = lines_of(numbers, pair)
    rows = [
        [line["row"], *score_cells(line, lines, suite), *cost_cells(line, lines)]
        for _, line in lines.iterrows()
    ]
    header = ["row", "runs", "last", "95% interval", "Δ", "Δ 95% interval", "best", "at step"]
    header += [] if suite["threshold"] is None else [f"minutes to {suite['threshold']:g}"]
    header += ["minutes", "images/s", "parameters G + D, M", "MACs G + D, M"]
    better = "less" if less_is_better(pair[0]) else "more"
    caption = f"{full_name(*pair)}, {better} is better; Δ is to {suite['reference']}"
    return Table(caption, header, rows)


def score_cells(line, lines, suite):
    places = decimals(lines["last_mean"])
    total = len(suite["seeds"])
    cells = [
        f"{line['seeds']} of {total}",
        plus_minus(line["last_mean"], line["last_sd"], places),
        between(line["last_low"], line["last_high"], places),
        *delta_cells(line, suite, places),
        plus_minus(line["best_mean"], line["best_sd"], places),
        fixed(line["best_step_mean"], 0),
    ]
    if suite["threshold"] is None:
        return cells
    if line["reached"] < total:
        return [*cells, f"{line['reached']} of {total} reached"]
    return [*cells, fixed(line["minutes_to_threshold"], decimals(lines["minutes"], 3))]


def delta_cells(line, suite, places):
    if line["row"] == suite["reference"]:
        return ["reference", ""]
    delta = fixed(line["delta"], places)
    return [delta, between(line["delta_low"], line["delta_high"], places)]


def cost_cells(line, lines):
    sizes = []
    for g, d in (("g_parameters", "d_parameters"), ("g_macs", "d_macs")):
        places = decimals([*lines[g] / 1e6, *lines[d] / 1e6], 3)
        both = f"{fixed(line[g] / 1e6, places)} + {fixed(line[d] / 1e6, places)}"
        sizes.append(both if line[[g, d]].notna().any() else NONE)
    names = ("minutes", "images_per_s")
    return [*(fixed(line[name], decimals(lines[name], 3)) for name in names), *sizes]


def other_tables(numbers, suite, others):
    """For each protocol two tables of rows against metrics: values, and differences."""
    tables = []
    for protocol in dict.fromkeys(protocol for _, protocol in others):
        pairs = [pair for pair in others if pair[1] == protocol]
        judged = f", by {protocol}" if protocol else ""
        arrows = [f"{pair[0]} {'↓' if less_is_better(pair[0]) else '↑'}" for pair in pairs]
        last = {row: [] for row in suite["rows"]}
        deltas = {row: [] for row in suite["rows"]}
        for pair in pairs:
            lines = lines_of(numbers, pair)
            places = decimals(lines["last_mean"])
            for _, line in lines.iterrows():
                value = plus_minus(line["last_mean"], line["last_sd"], places)
                last[line["row"]].append(value)
                difference = " ".join(delta_cells(line, suite, places))
                deltas[line["row"]].append(difference.removesuffix(f" {NONE}"))
        for what, cells in ((LAST, last), (DIFFERENCE, deltas)):
            rows = [[row, *own] for row, own in cells.items()]
            tables.append(Table(what + judged, ["row", *arrows], rows))
    return tables


def sample_blocks(suite, samples):
    members = suite_plots.sample_pictures(suite, samples)
    absent = [row for row in suite["rows"] if row not in samples]
    text = f"First seed ({suite['seeds'][0]}), the same latents and labels for every row."
    if absent:
        text += f" There are no samples of {listed(absent)}."
    return [text, *([Pictures(members, pixels=True)] if members else [])]


def published_table(published):
    """One line for each model and source, metrics side by side."""
    metrics = {"fid": "FID ↓", "intra_fid": "intra-FID ↓", "kid": "KID ↓", "is": "IS ↑"}
    keys = ["model", "dataset", "image_size", "protocol"]
    rows = []
    for names, own in published.groupby(keys, sort=False):
        cells = dict.fromkeys(metrics, "")
        for line in own.itertuples():
            mark = " unverified" if line.unverified == "yes" else ""
            cells[line.metric] = f"{line.value}{mark}"
        notes = [*dict.fromkeys(own["source"]), *dict.fromkeys(filter(None, own["note"]))]
        model, *rest = map(str, names)
        rows.append([model, *rest, "; ".join(notes), *cells.values()])
    header = ["model", "data set", "pixels", "protocol", "source and notes", *metrics.values()]
    return Table("Numbers of others, as published", header, rows, texts=5)


def how_to_read(suite, numbers):
    lines = [
        [
            full_name(*pair),
            "less" if less_is_better(pair[0]) else "more",
            suite_text.meaning(pair[0]),
        ]
        for pair in pairs_of(numbers)
    ]
    table = Table("Metrics", ["metric", "better is", "what it is"], lines, texts=3)
    return [*suite_text.reading(suite), table]


def provenance(table, suite):
    environment = suite["environment"]
    packages = [f"{name} {version}" for name, version in environment["packages"].items()]
    facts = [
        ["command", suite["command"]],
        ["commits", ", ".join(suite["commits"])],
        ["machine", environment["machine"]],
        ["device", suite_text.known(table["device"])],
        ["precision", suite_text.known(table["precision"])],
        ["versions", ", ".join([f"Python {environment['python']}", *packages])],
        ["started", suite["started"]],
        ["ended", suite["ended"]],
    ]
    flags = [[row, " ".join(own["flags"]) or "none"] for row, own in suite["rows"].items()]
    commands = [line for lines in suite["commands"].values() for line in lines]
    return [
        Table("Where the numbers come from", ["", "value"], facts, texts=2),
        Table("Flags of each row, besides those that all share", ["row", "flags"], flags, texts=2),
        Code(f"Commands of the {counted(len(suite['commands']), 'run')}", commands),
    ]
