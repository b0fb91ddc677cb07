"""The sections of a suite's report: what was compared, the numbers, and their provenance."""

from benchmarks.report import suite_plots, suite_text
from benchmarks.report.document import Code, Notice, Pictures, Section, Table
from benchmarks.report.formatting import (
    NONE,
    count_noun,
    decimal_places,
    format_deviation,
    format_interval,
    format_number,
    join_words,
)
from benchmarks.report.results import read_published
from benchmarks.report.suite_plots import full_name
from benchmarks.report.summary import find_collapsed, find_rolled_back, is_lower_better, list_runs

LAST = "At the last step: mean ± standard deviation over seeds"
DIFFERENCE = "Difference from the reference, with its 95% interval"


def suite_sections(table, suite, numbers, samples):
    """All sections, in order.

    `table` and `suite` are from `results`, `numbers` is `summarize_suite` of both, and `samples`
    are PNG bytes by row.
    """
    all_runs = list_runs(table, suite)
    shown = [pair for pair in pairs_of(numbers) if pair[0] in suite["metrics"]]
    headline = [pair for pair in shown if pair[0] == suite["metrics"][0]]
    others = [pair for pair in pairs_of(numbers) if pair not in headline]
    curves = suite_plots.score_pictures(table, suite, shown)
    parts = [
        ("What was compared", [suite_text.describe_suite(table, suite, all_runs)]),
        ("Status", [*status_blocks(all_runs), *warning_blocks(table)]),
        ("Headline", [headline_table(numbers, suite, pair) for pair in headline]),
        ("Other metrics", other_tables(numbers, suite, others)),
        ("Curves", [suite_text.CURVES, Pictures(curves)] if curves else []),
        ("Speed", picture_blocks(suite_plots.speed_pictures(table, suite))),
        ("Gamma", picture_blocks(suite_plots.gamma_pictures(table, suite))),
        ("Samples", sample_blocks(suite, samples)),
        ("Published numbers", [suite_text.PUBLISHED, published_table()]),
        ("How to read the numbers", reading_blocks(suite, numbers)),
        ("Provenance", provenance_blocks(table, suite)),
    ]
    return [Section(heading, blocks) for heading, blocks in parts if blocks]


def pairs_of(numbers):
    return list(dict.fromkeys(zip(numbers["metric"], numbers["protocol"], strict=True)))


def lines_of(numbers, pair):
    return numbers[(numbers["metric"] == pair[0]) & (numbers["protocol"] == pair[1])]


def picture_blocks(members):
    return [Pictures(members)] if members else []


def status_blocks(all_runs):
    bad = all_runs[all_runs["status"] != "ok"]
    if bad.empty:
        return [f"All {count_noun(len(all_runs), 'run')} finished."]
    lines = [[run.row, str(run.seed), run.status, run.reason] for run in bad.itertuples()]
    text = (
        f"{len(bad)} of {count_noun(len(all_runs), 'run')} did not finish. They are excluded "
        "from all means, intervals, speeds and times below; their scores are in the curves."
    )
    caption = "Runs that did not finish"
    return [Notice(text), Table(caption, ["row", "seed", "status", "reason"], lines, texts=4)]


def warning_blocks(table):
    """Collapses and rollbacks of all runs, whether they finished or not."""
    blocks, collapsed, rolled_back = [], find_collapsed(table), find_rolled_back(table)
    if len(collapsed):
        places = {"least": 3, "at": 0, "last": 3}
        lines = [
            [
                run["row"],
                str(run["seed"]),
                *(format_number(run[name], places[name]) for name in places),
            ]
            for _, run in collapsed.iterrows()
        ]
        header = ["row", "seed", "least", "at step", "last"]
        caption = "Diversity of samples, relative to real images"
        notice = Notice(f"{count_noun(len(collapsed), 'run')} {suite_text.COLLAPSED}")
        blocks += [notice, Table(caption, header, lines, texts=2)]
    if len(rolled_back):
        lines = [[run.row, str(run.seed), str(run.times)] for run in rolled_back.itertuples()]
        caption = "Runs that returned to a checkpoint"
        notice = Notice(f"{count_noun(len(rolled_back), 'run')} {suite_text.ROLLED_BACK}")
        blocks += [notice, Table(caption, ["row", "seed", "times"], lines, texts=2)]
    return blocks


def headline_table(numbers, suite, pair):
    """The table of the headline metric."""
    lines = lines_of(numbers, pair)
    rows = [
        [line["row"], *score_cells(line, lines, suite), *cost_cells(line, lines)]
        for _, line in lines.iterrows()
    ]
    header = ["row", "runs", "last", "95% interval", "Δ", "Δ 95% interval", "best", "at step"]
    header += [] if suite["threshold"] is None else [f"minutes to {suite['threshold']:g}"]
    header += ["minutes", "images/s", "parameters G + D, M", "MACs G + D, M"]
    better = "lower" if is_lower_better(pair[0]) else "higher"
    caption = f"{full_name(*pair)}, {better} is better; Δ is from {suite['reference']}"
    return Table(caption, header, rows)


def score_cells(line, lines, suite):
    places = decimal_places(lines["last_mean"])
    total = len(suite["seeds"])
    cells = [
        f"{line['seeds']} of {total}",
        format_deviation(line["last_mean"], line["last_sd"], places),
        format_interval(line["last_low"], line["last_high"], places),
        *delta_cells(line, suite, places),
        format_deviation(line["best_mean"], line["best_sd"], places),
        format_number(line["best_step_mean"], 0),
    ]
    if suite["threshold"] is None:
        return cells
    if line["reached"] < total:
        return [*cells, f"{line['reached']} of {total} reached"]
    minutes = decimal_places(lines["minutes"], 3)
    return [*cells, format_number(line["minutes_to_threshold"], minutes)]


def delta_cells(line, suite, places):
    if line["row"] == suite["reference"]:
        return ["reference", ""]
    delta = format_number(line["delta"], places)
    return [delta, format_interval(line["delta_low"], line["delta_high"], places)]


def cost_cells(line, lines):
    sizes = []
    for g, d in (("g_parameters", "d_parameters"), ("g_macs", "d_macs")):
        places = decimal_places([*lines[g] / 1e6, *lines[d] / 1e6], 3)
        both = f"{format_number(line[g] / 1e6, places)} + {format_number(line[d] / 1e6, places)}"
        sizes.append(both if line[[g, d]].notna().any() else NONE)
    names = ("minutes", "images_per_s")
    return [*(format_number(line[name], decimal_places(lines[name], 3)) for name in names), *sizes]


def other_tables(numbers, suite, others):
    """Two tables of rows by metrics for each protocol: values, and differences."""
    tables = []
    for protocol in dict.fromkeys(protocol for _, protocol in others):
        pairs = [pair for pair in others if pair[1] == protocol]
        judge = f", by {protocol}" if protocol else ""
        arrows = [f"{pair[0]} {'↓' if is_lower_better(pair[0]) else '↑'}" for pair in pairs]
        last, deltas = ({row: [] for row in suite["rows"]} for _ in range(2))
        for pair in pairs:
            lines = lines_of(numbers, pair)
            places = decimal_places(lines["last_mean"])
            for _, line in lines.iterrows():
                value = format_deviation(line["last_mean"], line["last_sd"], places)
                last[line["row"]].append(value)
                difference = " ".join(delta_cells(line, suite, places))
                deltas[line["row"]].append(difference.removesuffix(f" {NONE}"))
        for what, cells in ((LAST, last), (DIFFERENCE, deltas)):
            rows = [[row, *own] for row, own in cells.items()]
            tables.append(Table(what + judge, ["row", *arrows], rows))
    return tables


def sample_blocks(suite, samples):
    members = suite_plots.sample_pictures(suite, samples)
    absent = [row for row in suite["rows"] if row not in samples]
    text = f"First seed ({suite['seeds'][0]}), the same latents and labels for every row."
    if absent:
        text += f" There are no samples of {join_words(absent)}."
    return [text, *([Pictures(members, pixels=True)] if members else [])]


def published_table():
    """A line for each model and source, with metrics side by side."""
    metrics = {"fid": "FID ↓", "intra_fid": "intra-FID ↓", "kid": "KID ↓", "is": "IS ↑"}
    keys = ["model", "dataset", "image_size", "protocol"]
    rows = []
    for names, own in read_published().groupby(keys, sort=False):
        cells = dict.fromkeys(metrics, "")
        for line in own.itertuples():
            cells[line.metric] = line.value + (" unverified" if line.unverified == "yes" else "")
        notes = [*dict.fromkeys(own["source"]), *dict.fromkeys(filter(None, own["note"]))]
        model, *rest = map(str, names)
        rows.append([model, *rest, "; ".join(notes), *cells.values()])
    header = ["model", "data set", "pixels", "protocol", "source and notes", *metrics.values()]
    return Table("Numbers published by others", header, rows, texts=5)


def reading_blocks(suite, numbers):
    lines = []
    for metric, protocol in pairs_of(numbers):
        better = "lower" if is_lower_better(metric) else "higher"
        meaning = suite_text.explain_metric(metric, protocol)
        lines.append([full_name(metric, protocol), better, meaning])
    table = Table("Metrics", ["metric", "better is", "what it is"], lines, texts=3)
    return [*suite_text.reading_paragraphs(suite), table]


def provenance_blocks(table, suite):
    environment = suite["environment"]
    packages = [f"{name} {version}" for name, version in environment["packages"].items()]
    facts = [
        ["command", suite["command"]],
        ["commits", ", ".join(suite["commits"])],
        ["machine", environment["machine"]],
        ["device", suite_text.join_known(table["device"])],
        ["precision", suite_text.join_known(table["precision"])],
        ["versions", ", ".join([f"Python {environment['python']}", *packages])],
        ["started", suite["started"]],
        ["ended", suite["ended"]],
    ]
    flags = [[row, " ".join(own["flags"]) or "none"] for row, own in suite["rows"].items()]
    commands = [line for lines in suite["commands"].values() for line in lines]
    return [
        Table("Where the numbers come from", ["", "value"], facts, texts=2),
        Table("Flags of each row, besides the shared ones", ["row", "flags"], flags, texts=2),
        Code(f"Commands of the {count_noun(len(suite['commands']), 'run')}", commands),
    ]
