"""Trains and scores rows with several seeds, and reports them as tables and pages.

python -m benchmarks.compare --flagfile=benchmarks/suites/digits_cpu.flags
python -m benchmarks.compare --flagfile=benchmarks/suites/digits_cpu.flags --report_only

A row is a flag file with changes. A run is a row with a seed: one training and its scores, each in
its own process. The same command resumes a stopped comparison: it skips finished runs, resumes
others from their newest checkpoint, and retries failed ones. A failed run does not stop the others;
the report lists it with the reason, and the exit code is then 1.
"""

import pathlib

from absl import flags

from benchmarks.comparison.collect import write_results
from benchmarks.comparison.runner import execute_runs
from benchmarks.comparison.suite import Suite
from benchmarks.measure.subprocesses import command_line
from benchmarks.report.report_files import render_report
from benchmarks.report.summary import is_lower_better
from keras_sagan import commands
from keras_sagan.errors import RunError, UsageError
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.values import ExtractorChoice

flags.DEFINE_string("suite", None, "Name of the comparison. Required.")
flags.DEFINE_string("title", "", "What it compares, in one line.")
flags.DEFINE_multi_string(
    "row",
    [],
    "One experiment; repeat the flag for each. MODEL, or NAME=MODEL --flag=value ... MODEL is a "
    "file of benchmarks/rows or keras_sagan/configs without .flags, or the path of a flag file.",
)
flags.DEFINE_multi_string("common", [], "A training flag for all rows, e.g. --image_size=32.")
flags.DEFINE_string("dataset", "digits", "As for training.")
flags.DEFINE_list("seeds", ["0", "1"], "Seeds of each row.")
flags.DEFINE_integer("steps", None, "Budget of a run: generator updates.", lower_bound=1)
flags.DEFINE_float("minutes", None, "Or minutes of training, without scoring.", lower_bound=0)
flags.DEFINE_integer("images", None, "Or real images that the discriminator sees.", lower_bound=1)
flags.DEFINE_integer("score_every", 500, "Steps between two scored checkpoints.", lower_bound=1)
flags.DEFINE_integer("num_samples", 2000, "Generated images per score.", lower_bound=4)
flags.DEFINE_string("extractor", "auto", "As for keras_sagan.evaluate.")
flags.DEFINE_list(
    "metrics",
    [],
    "Scores that the report shows first, e.g. fd2k,coherence2k; --threshold refers to the first. "
    "The tables have all scores.",
)
flags.DEFINE_float(
    "threshold", None, "Value of the first metric; the report gives the minutes to reach it."
)
flags.DEFINE_string("reference", None, "Row with which the others are compared. Required.")
flags.DEFINE_list(
    "devices",
    [],
    "Numbers of GPUs that execute one run at a time each, e.g. 0,1,2,3. Default: one run at a time "
    "on the default devices of training.",
)
flags.DEFINE_string("data_dir", "data", "Where prepared data are kept.")
flags.DEFINE_string("runs_dir", None, "Where runs are kept. Default: runs/SUITE.")
flags.DEFINE_string("report_dir", None, "Folder of the report. Default: reports/SUITE.")
flags.DEFINE_bool("report_only", False, "Only report existing runs.")


def main():
    suite = suite_from_flags()
    runs = [suite.make_run(row, seed) for row in suite.rows() for seed in suite.seeds]
    devices = distinct_integers("devices", 0, 2**16) if flags.FLAGS.devices else []
    if not flags.FLAGS.report_only:
        try:
            with RunDirectory(suite.runs_dir).lock():
                execute_runs(runs, [str(device) for device in devices])
        except OSError as error:
            raise RunError(f"stopped; finished runs are kept: {error}") from error
    try:
        outcomes = write_results(suite, runs, command_line(leave_out=["--report_only"]))
    except OSError as error:
        raise RunError(f"{suite.report_dir} cannot be written: {error}") from error
    print(f"report: {render_report(suite.report_dir)}")
    bad = [
        f"{run.row.name} seed {run.seed} {outcome['status']}: {outcome['reason']}"
        for run, outcome in zip(runs, outcomes, strict=True)
        if outcome["status"] != "ok"
    ]
    if bad:
        print("\n".join(bad))
        raise RunError(f"{len(bad)} of {len(runs)} runs did not finish")


def suite_from_flags():
    """The `Suite` that the flags describe; a missing or invalid flag is a `UsageError`."""
    given = flags.FLAGS
    name, reference = commands.require("suite"), commands.require("reference")
    if not given.metrics:
        raise UsageError("--metrics is required, e.g. fd2k,coherence2k")
    for metric in given.metrics:
        is_lower_better(metric)  # An unknown name fails now, not after all runs.
    seeds = distinct_integers("seeds", 0, 2**31 - 1)
    for choice in map(ExtractorChoice.parse, given.extractor.split(",")):
        if choice.path and "://" not in choice.path and not pathlib.Path(choice.path).exists():
            raise UsageError(
                f"--extractor names a file that does not exist. Received: {choice.path}"
            )
    names = ("title", "row", "common", "dataset", "steps", "minutes", "images", "score_every")
    names += ("num_samples", "extractor", "metrics", "threshold", "data_dir")
    return Suite(
        suite=name,
        reference=reference,
        seeds=seeds,
        runs_dir=given.runs_dir or f"runs/{name}",
        report_dir=given.report_dir or f"reports/{name}",
        **{each: getattr(given, each) for each in names},
    )


def distinct_integers(name, least, most):
    """The list flag `name` as ints; a `UsageError` if they are not ints, or not distinct."""
    values = commands.integers(name, least, most)
    if len(set(values)) < len(values):
        raise UsageError(f"--{name} must be distinct. Received: {','.join(map(str, values))}")
    return values


if __name__ == "__main__":
    commands.run(main, __doc__)
