"""Reports whether two extractors rank the checkpoints of a run alike.

python -m keras_sagan.evaluate --run_dir=RUN --checkpoint=all --extractor=classifier,rotation
python -m benchmarks.ranks --run_dir=RUN --metric=fd10k --report_dir=reports/ranks

It reads the scores that `evaluate` recorded, and writes `results.jsonl`, `summary.csv` and the
report to the report folder. Correlations are Spearman's: of ranks instead of values.
"""

import json
import pathlib

from absl import flags

from benchmarks.measure.subprocesses import gather_provenance
from benchmarks.report.report_files import render_report
from benchmarks.report.summary import is_lower_better
from keras_sagan import commands
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import write_atomically
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.facts import recorded_scores
from keras_sagan.runs.provenance import PACKAGES

flags.DEFINE_string("run_dir", None, "Folder of a run. Required.")
flags.DEFINE_string("metric", "fd10k", "Score whose values and ranks the report shows.")
flags.DEFINE_string("report_dir", None, "Folder of the report. Required.")

# Checkpoints that both extractors must have scored: a correlation of fewer ranks says nothing.
LEAST = 4
# Fields of the configuration that only say where files are.
FOLDERS = ("data_dir", "tfds_dir")


def main():
    run, folder = RunDirectory(commands.require("run_dir")), commands.require("report_dir")
    metric, folder = flags.FLAGS.metric, pathlib.Path(folder)
    is_lower_better(metric)  # An unknown name fails now.
    rows = [describe_run(run, metric), *describe_scores(run, metric)]
    lines = [json.dumps({"benchmark": "ranks", "status": "ok"} | row) + "\n" for row in rows]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "results.jsonl", "".join(lines))
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error}") from error
    print(f"report: {render_report(folder)}")


def describe_run(run: RunDirectory, metric: str) -> dict:
    """A run's configuration, and the provenance of its scores and of this report."""
    config, environment = run.read_config(), run.read_environment()
    values = json.loads(config.to_json())
    return {
        "part": "run",
        "metric": metric,
        "seed": config.seed,
        "config": {name: values[name] for name in values if name not in FOLDERS},
        "trained_by": {name: environment.get(name) for name in ("command", "commit", "device")},
        "data": environment.get("data"),
        **gather_provenance(PACKAGES),
    }


def describe_scores(run: RunDirectory, metric: str) -> list[dict]:
    """A row for each step and each metric that both extractors have at all steps; the newest each.

    Raises:
        UsageError: if `metric` was not scored by exactly two extractors at `LEAST` steps or more.
    """
    newest = {
        (row["metric"], row["step"]): row
        for row in recorded_scores(run)
        if row["value"] is not None and "/" in row["metric"]
    }
    steps = {}
    for name, step in newest:
        base, _, extractor = name.partition("/")
        steps.setdefault(base, {}).setdefault(extractor, set()).add(step)
    found = steps.get(metric, {})
    common = set.intersection(*found.values()) if found else set()
    if len(found) != 2 or len(common) < LEAST:
        raise UsageError(
            f"expected {metric} by two extractors, at {LEAST} checkpoints or more. Received: "
            f"{', '.join(sorted(found)) or 'none'} at {len(common)} common steps in {run.path}"
        )
    shared = [
        base
        for base, by in steps.items()
        if by.keys() == found.keys() and all(common <= known for known in by.values())
    ]
    return [
        describe_score(newest[f"{base}/{extractor}", step])
        for base in sorted(shared, key=lambda base: (base != metric, base))
        for extractor in sorted(found)
        for step in sorted(common)
    ]


def describe_score(row: dict) -> dict:
    """The part of a row of `metrics.jsonl` that the report shows."""
    metric, _, extractor = row["metric"].partition("/")
    names = ("step", "value", "n_fake", "n_real", "weights", "seed", "command", "commit", "machine")
    test = {name: row["extractor"].get(name) for name in ("test_accuracy", "test_images")}
    kept = {name: row.get(name) for name in names}
    return {"part": "score", "metric": metric, "extractor": extractor, **kept, **test}


if __name__ == "__main__":
    commands.run(main, __doc__)
