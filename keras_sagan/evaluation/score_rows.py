"""Scores as rows with everything they depend on, as tables, and compared with another run's."""

import datetime
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from keras_sagan.errors import UsageError
from keras_sagan.metrics.protocol import check_comparable, differences, metric_name
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.facts import recorded_scores
from keras_sagan.runs.provenance import PACKAGES, commit, machine, version

COLUMNS = ("metric", "value", "real images", "TF-GAN differs by")
Row = dict[str, Any]
# With fewer images, a test accuracy is printed with their number.
FEW = 100


def make_rows(scores: dict[str, dict], suffix: str, conditions: dict[str, Any]) -> list[Row]:
    """A row of `metrics.jsonl` for each score, named by metric, image count and `suffix`."""
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
        if row["metric"].startswith("coherence"):  # No network is involved.
            row |= {"metric": row["metric"].partition("/")[0]}
            row |= dict.fromkeys(("extractor_sha256", "protocol"))
    return rows


def format_table(rows: Sequence[Row], others: Sequence[Row | None] | None = None) -> str:
    """Scores of one checkpoint as an aligned table, each with its standard error or deviation.

    `others` has for each row another run's, or None where it has none.
    """
    lines = [[*COLUMNS, *(["other run"] if others else [])]]
    for row, other in zip(rows, others or [None] * len(rows), strict=True):
        spread = row.get("standard_error") or row.get("standard_deviation")
        value = format_number(row["value"]) + (f" ± {format_number(spread)}" if spread else "")
        difference = row.get("relative_difference")
        check = "" if difference is None else f"{difference:.0e}"
        beside = [format_number(other["value"]) if other else "-"] if others else []
        lines.append([row["metric"], value, str(row.get("n_real") or "-"), check, *beside])
    return align_columns(lines)


def format_curve(found: dict[int, list[Row]]) -> str:
    """Scores of several checkpoints, by step, as a table with a column for each step."""
    lines = [["metric", *(f"step {step}" for step in found)]]
    for rows in zip(*found.values(), strict=True):
        lines.append([rows[0]["metric"], *(format_number(row["value"]) for row in rows)])
    return align_columns(lines)


def describe_extractors(rows: Iterable[Row]) -> list[str]:
    """A line for each network trained on the data, and for each network that is missing."""
    lines = {}
    for row in rows:
        if "unavailable" in row:
            lines[f"unavailable: {row['unavailable']}"] = None
        elif "test_accuracy" in row["extractor"] and "/" in row["metric"]:
            name = row["metric"].partition("/")[2]
            lines[f"{name}: {describe_test(row['extractor'])}"] = None
    return list(lines)


def describe_test(record: dict[str, Any]) -> str:
    """The test of a network trained on the data, from the record of the extractor."""
    count, accuracy = record["test_images"], f"{record['test_accuracy']:.1%} accuracy"
    only = f" (only {count})" if count < FEW else ""
    if record["network"] == "rotation":
        return f"{accuracy} on rotations of held-out real images{only}, 25% by chance"
    return f"{accuracy} on held-out real images{only}"


def align_columns(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def format_number(value: float | None) -> str:
    return "unavailable" if value is None else f"{value:.6g}"


def read_scores(run: RunDirectory) -> list[Row]:
    """The rows of a run's `metrics.jsonl`, with the current names of metrics.

    Raises:
        UsageError: if there are none.
    """
    path = run.path / "metrics.jsonl"
    try:
        rows = recorded_scores(run)
    except OSError as error:
        raise UsageError(f"expected scores in {path}. Received: {error}") from error
    if not rows:
        raise UsageError(f"expected scores in {path}. Received: none")
    return rows


def match_rows(rows: Sequence[Row], others: Sequence[Row]) -> list[Row | None]:
    """Finds, for each row, the newest comparable one of `others`; None if its metric is missing.

    Raises:
        UsageError: if `others` has the metric under different conditions only.
    """
    found = []
    others = [other for other in others if other["value"] is not None]
    for row in rows:
        known = others if row["value"] is not None else []
        key = comparison_key(row["metric"])
        same = [other for other in known if comparison_key(other["metric"]) == key]
        equal = [other for other in same if not differences(row, other)]
        if same and not equal:
            check_comparable(row, same[-1])
        found.append(equal[-1] if equal else None)
    return found


def comparison_key(metric: str) -> tuple[str, str]:
    """Metric and kind of network: of `fd10k/classifier-1234`, `fd` and `classifier`."""
    name, _, network = metric.partition("/")
    return name.rstrip("k").rstrip("0123456789"), network.partition("-")[0]
