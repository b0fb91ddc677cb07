"""Collects the records of a comparison's runs into one table, with one value per line."""

import dataclasses
import hashlib
import json
import pathlib
import shutil

import numpy as np
import pandas as pd
from absl import flags

from benchmarks.comparison.suite import Run, Suite
from keras_sagan.errors import UsageError
from keras_sagan.files import write_atomically
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.facts import recorded_scores

# The columns of a value, and the columns of its run.
VALUE = ("step", "images", "seconds", "metric", "protocol", "value", "error", "n_fake", "n_real")
RUN = ("status", "reason", "device", "precision", "commit", "config_hash")
COLUMNS = ("suite", "row", "seed", *VALUE, *RUN)


def write_results(suite: Suite, runs: list[Run], command: str) -> list[dict]:
    """Writes `results.parquet`, `suite.json` and `samples/` to the suite's report folder.

    Returns:
        The outcome of each run, with `status` and `reason`.
    """
    folder = pathlib.Path(suite.report_dir)
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = [read_outcome(run) for run in runs]
    tables = [make_table(run, outcome) for run, outcome in zip(runs, outcomes, strict=True)]
    results = pd.concat(tables, ignore_index=True)
    write_atomically(folder / "results.parquet", results.to_parquet(index=False))
    text = json.dumps(describe_suite(suite, runs, command, outcomes, results), indent=2) + "\n"
    write_atomically(folder / "suite.json", text)
    write_samples(suite, runs, folder / "samples")
    return outcomes


def read_outcome(run: Run) -> dict:
    """How a run ended, a dict; "unfinished" if it has not, "missing" if its folder is gone."""
    try:
        outcome = json.loads(run.outcome.read_text("utf-8"))
    except (OSError, ValueError):
        return {"status": "unfinished", "reason": "did not run to the end", "commands": []}
    if outcome["status"] == "ok" and read_config(RunDirectory(run.path)) is None:
        return outcome | {"status": "missing", "reason": f"{run.path.name} has no run"}
    return outcome


def make_table(run: Run, outcome: dict) -> pd.DataFrame:
    """The lines of one run, a DataFrame with `COLUMNS`."""
    directory = RunDirectory(run.path)
    config, environment = read_config(directory), directory.read_environment()
    rows = [
        {"metric": "finished", "protocol": "harness", "value": float(outcome["status"] == "ok")},
        *cost_lines(environment),
        *training_lines(directory),
        *diversity_lines(directory),
        *score_lines(directory),
    ]
    lines = pd.DataFrame(rows).reindex(columns=VALUE)
    lines["step"] = lines["step"].fillna(0).astype(np.int64)
    lines["images"] = lines["step"] * (config.batch_size * config.d_steps if config else 0)
    lines["seconds"] = seconds_at(lines)
    numbers = ["value", "error", "n_fake", "n_real"]
    lines[numbers] = lines[numbers].astype(np.float64)
    lines["protocol"] = lines["protocol"].fillna("")
    places = [environment[name] for name in ("device", "machine") if name in environment]
    names = {"suite": run.suite.suite, "row": run.row.name, "seed": run.seed}
    of_run = names | {
        "status": outcome["status"],
        "reason": outcome["reason"],
        "device": ", ".join(places),
        "precision": config.precision if config else "",
        "commit": environment.get("commit") or "",
        "config_hash": hash_config(config) if config else "",
    }
    return lines.assign(**of_run)[list(COLUMNS)]


def read_config(directory):
    """The run's `Config`; None if it never started."""
    try:
        return directory.read_config()
    except UsageError:
        return None


def cost_lines(environment):
    """Lines for parameters and multiply-accumulates."""
    return [
        {"metric": f"{network[0]}_{cost}", "protocol": "harness", "value": value}
        for network, values in environment.get("networks", {}).items()
        for cost, value in values.items()
    ]


def training_lines(directory):
    """Lines for the numbers that training recorded."""
    return [
        {"step": row["step"], "seconds": row["seconds"]}
        | {"metric": name, "protocol": "train", "value": value}
        for row in directory.rows("train.jsonl")
        for name, value in row.items()
        if name not in ("step", "seconds") and not isinstance(value, str)
    ]


def diversity_lines(directory):
    """Lines for the diversity of samples during training."""
    return [
        {"step": row["step"], "metric": "diversity", "protocol": "watch", "value": row["diversity"]}
        for row in directory.rows("scores.jsonl")
        if "diversity" in row
    ]


def score_lines(directory):
    """Lines for the scores, by their current names; the newest of each metric at each step."""
    newest = {}
    for row in recorded_scores(directory):
        metric, _, protocol = row["metric"].partition("/")
        error = row.get("standard_error") or row.get("standard_deviation")
        counts = {"n_fake": row.get("n_fake"), "n_real": row.get("n_real")}
        names = {"step": row["step"], "metric": metric, "protocol": protocol}
        newest[tuple(names.values())] = names | {"value": row["value"], "error": error} | counts
    return newest.values()


def seconds_at(lines):
    """Seconds of training at each line's step, interpolated linearly between records."""
    recorded = lines[lines["protocol"] == "train"].drop_duplicates("step")
    if recorded.empty:
        return 0.0
    points = [[0, *recorded["step"]], [0, *recorded["seconds"].astype(np.float64)]]
    return np.interp(lines["step"].astype(np.float64), *points)


def hash_config(config):
    """16 hexadecimal digits of all settings that determine a row's numbers, except the seed."""
    values = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name != "seed" and not field.metadata["resumable"]
    }
    values |= {name: getattr(config, name) for name in ("total_steps", "total_minutes")}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def describe_suite(suite, runs, command, outcomes, results):
    """The suite and the provenance of its numbers, for `suite.json`."""
    environments = [RunDirectory(run.path).read_environment() for run in runs]
    starts = [start for each in environments if each for start in (each, *each.get("earlier", []))]
    first = next((each for each in environments if each), {})
    unknown = {"machine": "", "python": "", "packages": {}}
    return {
        "suite": suite.suite,
        "title": suite.title,
        "command": command,
        "reference": suite.reference,
        "metrics": suite.metrics,
        "threshold": suite.threshold,
        "rows": {run.row.name: describe_row(run) for run in runs},
        "seeds": suite.seeds,
        "budget": suite.budget(),
        "dataset": suite.dataset,
        "environment": {name: first.get(name, none) for name, none in unknown.items()},
        "commits": sorted(set(results["commit"]) - {""}),
        "started": min((start["started"] for start in starts), default=""),
        "ended": max((each.get("ended", "") for each in outcomes), default=""),
        "commands": {
            f"{run.row.name}/seed_{run.seed}": outcome["commands"]
            for run, outcome in zip(runs, outcomes, strict=True)
        },
    }


def describe_row(run):
    """Flags of a row and their `Config`; None instead if they are invalid."""
    try:
        config = dataclasses.asdict(run.config())
    except (flags.Error, UsageError, OSError):
        config = None
    return {"flags": [run.row.model, *run.suite.common, *run.row.overrides], "config": config}


def write_samples(suite, runs, folder):
    """Copies the newest sample grid of each row's first seed; removes older grids."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.png"):
        path.unlink()
    for run in runs:
        grids = sorted((run.path / "samples").glob("step_*.png"))
        if run.seed == suite.seeds[0] and grids:
            shutil.copyfile(grids[-1], folder / f"{run.row.name}.png")
