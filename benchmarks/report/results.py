"""Reads and checks the files from which a report is made; errors are one line."""

import json
import pathlib

import pandas as pd

from keras_sagan.errors import UsageError
from keras_sagan.metrics.protocol import current_name

TEXTS = ("suite", "row", "metric", "protocol", "status", "reason", "device", "precision")
NUMBERS = ("seed", "step", "images", "seconds", "value", "error")
SUITE_KEYS = (
    *("suite", "title", "command", "reference", "metrics", "threshold", "rows", "seeds"),
    *("budget", "dataset", "environment", "commits", "started", "ended", "commands"),
)
KINDS = {"rows": dict, "metrics": list, "seeds": list}
# Benchmarks whose rows have a report of their own.
ALONE = ("attention", "ranks")
BENCHMARKS = ("speed", "layers", "serving", "scaling", "scaling_expected", *ALONE)
PUBLISHED = pathlib.Path(__file__).parent / "published.csv"
PNG = b"\x89PNG\r\n\x1a\n"


def read_suite(path: pathlib.Path) -> dict:
    """Reads `suite.json`, with the current names of its metrics.

    Raises:
        UsageError: if a key is missing or a value is invalid.
    """
    try:
        suite = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"expected JSON. Received: {path}: {error}") from error
    absent = [key for key in SUITE_KEYS if not isinstance(suite, dict) or key not in suite]
    if absent:
        raise UsageError(f"expected {', '.join(absent)} in {path}. Received: none")
    for key, kind in KINDS.items():
        value = suite[key]
        if not (isinstance(value, kind) and value):
            raise UsageError(f"expected a {kind.__name__} of {key} in {path}. Received: {value}")
    rows, reference = suite["rows"], suite["reference"]
    if reference not in rows:
        known = ", ".join(rows)
        raise UsageError(f"expected a reference of {known} in {path}. Received: {reference}")
    return suite | {"metrics": list(map(current_name, suite["metrics"]))}


def read_table(path: pathlib.Path, suite: dict) -> pd.DataFrame:
    """Reads `results.parquet`, with the current names of its metrics.

    Raises:
        UsageError: if the table is invalid, or has lines that do not belong to `suite`.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"expected a Parquet table. Received: {path}: {error}") from error
    absent = [name for name in (*TEXTS, *NUMBERS) if name not in table]
    if absent:
        wanted, received = ", ".join(absent), ", ".join(table)
        raise UsageError(
            f"expected a table with columns {wanted}. Received: {path} with {received}"
        )
    for name in NUMBERS:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise UsageError(f"expected numbers in {name}. Received: {path}: {table[name].dtype}")
    for name, known in (("row", list(suite["rows"])), ("seed", suite["seeds"])):
        unknown = sorted(set(table[name]) - set(known))
        if unknown:
            raise UsageError(f"expected each {name} to be one of {known}. Received: {unknown}")
    table["metric"] = table["metric"].map(current_name)
    keys = ["row", "seed", "step", "metric", "protocol"]
    twice = table[table.duplicated(keys) & (table["protocol"] != "train")]
    if len(twice):
        raise UsageError(f"expected one line per value. Received: {twice[keys].iloc[0].to_dict()}")
    return table


def read_samples(folder: pathlib.Path, suite: dict) -> dict[str, bytes]:
    """Reads the sample grids: PNG bytes by row, of the rows that have one.

    Raises:
        UsageError: if a file is not a PNG file.
    """
    paths = {row: folder / f"{row}.png" for row in suite["rows"]}
    return {row: read_png(path) for row, path in paths.items() if path.is_file()}


def read_png(path: pathlib.Path) -> bytes:
    """Reads the bytes of a PNG file; any other is a `UsageError`."""
    data = path.read_bytes() if path.is_file() else b""
    if not data.startswith(PNG):
        raise UsageError(f"expected a PNG file. Received: {path}")
    return data


def read_published() -> pd.DataFrame:
    """Reads `published.csv`, with all values as text."""
    return pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)


def read_lines(path: pathlib.Path) -> list[dict]:
    """Reads `results.jsonl`: a list of dicts, one per row of a benchmark.

    Raises:
        UsageError: if a line is not a row, or there are none.
    """
    lines = enumerate(path.read_text("utf-8").splitlines(), start=1)
    rows = [read_line(line, f"{path}:{number}") for number, line in lines if line.strip()]
    if not rows:
        raise UsageError(f"expected rows of a benchmark. Received: {path}, which is empty")
    kinds = {row["benchmark"] for row in rows}
    for kind in ALONE:
        if kind in kinds and kinds != {kind}:
            raise UsageError(f"expected only {kind}. Received: {path} with {sorted(kinds)}")
    return rows


def read_line(line: str, place: str) -> dict:
    """Parses one row, or raises a `UsageError`; `place` is where it is, for the error."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"expected a JSON object. Received: {place}: {error}") from error
    if not isinstance(row, dict) or row.get("benchmark") not in BENCHMARKS:
        known = ", ".join(BENCHMARKS)
        raise UsageError(f"expected a row of {known}, with --format=json. Received: {place}")
    if "status" not in row:
        raise UsageError(f"expected a row with a status. Received: {place}")
    return row
