"""Scores as rows with all that they depend on, as a table, and beside those of another run."""

import datetime
import json
import sys

from keras_sagan.errors import UsageError
from keras_sagan.metrics.protocol import check_comparable, differences, metric_name
from keras_sagan.runs.provenance import PACKAGES, commit, machine, version

COLUMNS = ("metric", "value", "real images", "TF-GAN differs by")


def make_rows(scores, suffix, conditions):
    """A row of `metrics.jsonl` for each score: its name says count and protocol."""
    environment = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv[1:],
        "commit": commit(),
        "packages": {name: version(name) for name in (*PACKAGES, "tensorflow-gan")},
        "machine": machine(),
    }
    rows = [
        {"metric": metric_name(name, score["n_fake"], suffix), **conditions, **score, **environment}
        for name, score in scores.items()
    ]
    for row in rows:
        if row["metric"].startswith("coherence"):  # No network judges it.
            row |= {"metric": row["metric"].partition("/")[0]}
            row |= dict.fromkeys(("extractor_sha256", "protocol"))
    return rows


def table(rows, others=None):
    """Rows as aligned text; `others` are the same metrics of another run, None where it has none.

    What belongs to a value stands behind it: the standard error, or the deviation over splits.
    """
    lines = [[*COLUMNS, *(["other run"] if others else [])]]
    for row, other in zip(rows, others or [None] * len(rows), strict=True):
        spread = row.get("standard_error") or row.get("standard_deviation")
        value = number(row["value"]) + (f" ± {number(spread)}" if spread else "")
        difference = row.get("relative_difference")
        second = "" if difference is None else f"{difference:.0e}"
        beside = [number(other["value"]) if other else "-"] if others else []
        lines.append([row["metric"], value, str(row.get("n_real") or "-"), second, *beside])
    return aligned(lines)


def curve(found):
    """The scores of several checkpoints, a dict of step to rows, as a table of a column each."""
    lines = [["metric", *(f"step {step}" for step in found)]]
    for rows in zip(*found.values(), strict=True):
        lines.append([rows[0]["metric"], *(number(row["value"]) for row in rows)])
    return aligned(lines)


def notes(rows):
    """One line on each extractor, and on each that is missing."""
    lines = {}
    for row in rows:
        if "unavailable" in row:
            lines[f"unavailable: {row['unavailable']}"] = None
        elif "test_accuracy" in row["extractor"] and "/" in row["metric"]:
            accuracy = row["extractor"]["test_accuracy"]
            name = row["metric"].partition("/")[2]
            lines[f"{name}: {accuracy:.1%} right on real images that it was not shown"] = None
    return list(lines)


def aligned(lines):
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def number(value):
    return "unavailable" if value is None else f"{value:.6g}"


def read_rows(run):
    """The rows of a run's `metrics.jsonl`.

    Raises:
        UsageError: if there are none.
    """
    path = run.path / "metrics.jsonl"
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise UsageError(f"expected scores in {path}. Received: {error}") from error


def matching(rows, others):
    """For each row the newest of `others` that it can be compared with; None without its metric.

    Raises:
        UsageError: if they have its metric under other conditions only.
    """
    found = []
    others = [other for other in others if other["value"] is not None]
    for row in rows:
        known = others if row["value"] is not None else []
        same = [other for other in known if kin(other["metric"]) == kin(row["metric"])]
        equal = [other for other in same if not differences(row, other)]
        if same and not equal:
            check_comparable(row, same[-1])
        found.append(equal[-1] if equal else None)
    return found


def kin(metric):
    """What two scores to be compared share: of `fcd10k/classifier-1234`, `fcd` and `classifier`."""
    name, _, network = metric.partition("/")
    return name.rstrip("k").rstrip("0123456789"), network.partition("-")[0]


def say(line):
    """A line on standard error: standard output is for results."""
    print(line, file=sys.stderr)
