"""Trains and scores rows with several seeds, and makes tables and pages of them.

python -m benchmarks.compare --flagfile=benchmarks/suites/digits_cpu.flags
python -m benchmarks.compare --flagfile=benchmarks/suites/digits_cpu.flags --report_only

A row is a flag file and what it changes; a run is a row with a seed: a training and its scores,
each in a process of its own. The same command goes on where it was stopped: finished runs are
skipped, others go on from their newest checkpoint, failed ones are tried again. A run that fails
does not stop the others; it stands in the report as what it is, and then the exit code is 1.
"""

import pathlib

from absl import flags

from benchmarks import apart, collect
from benchmarks.report import render
from benchmarks.runner import play
from benchmarks.suite import Suite
from benchmarks.summary import less_is_better
from keras_sagan import commands
from keras_sagan.errors import RunError, UsageError
from keras_sagan.runs.directory import RunDirectory

flags.DEFINE_string("suite", None, "Name of the comparison. Required.")
flags.DEFINE_string("title", "", "What it compares, in a line.")
flags.DEFINE_multi_string(
    "row",
    [],
    "One experiment; give the flag for each. MODEL, or NAME=MODEL --flag=value ... MODEL: a file "
    "of benchmarks/rows or keras_sagan/configs without its .flags, or the path of a flag file.",
)
flags.DEFINE_multi_string("common", [], "A flag of training that all rows get, as --image_size=32.")
flags.DEFINE_string("dataset", "digits", "As of training.")
flags.DEFINE_list("seeds", ["0", "1"], "Seeds of each row.")
flags.DEFINE_integer("steps", None, "Budget of a run: generator updates.", lower_bound=1)
flags.DEFINE_float("minutes", None, "Or minutes of training, scores not counted.", lower_bound=0)
flags.DEFINE_integer(
    "images", None, "Or real images that the discriminator is shown.", lower_bound=1
)
flags.DEFINE_integer("score_every", 500, "Steps between two scored checkpoints.", lower_bound=1)
flags.DEFINE_integer("num_samples", 2000, "Generated images that are scored.", lower_bound=4)
flags.DEFINE_string("extractor", "classifier", "As of keras_sagan.evaluate.")
flags.DEFINE_list(
    "metrics",
    [],
    "Scores that the report shows first, as fcd2k,coherence2k; the very first is that of "
    "--threshold. The tables have all scores.",
)
flags.DEFINE_float("threshold", None, "Value of the first metric, for the minutes to reach it.")
flags.DEFINE_string("reference", None, "Row that the others are compared with. Required.")
flags.DEFINE_list(
    "devices",
    [],
    "Numbers of GPUs that each take one run at a time, as 0,1,2,3. Default: one run at a time, on "
    "what training takes by itself.",
)
flags.DEFINE_string("data_dir", "data", "Where prepared data are kept.")
flags.DEFINE_string("runs_dir", None, "Where runs are kept. Default: runs/SUITE.")
flags.DEFINE_string("report_dir", None, "Where the report goes. Default: reports/SUITE.")
flags.DEFINE_bool("report_only", False, "Report what is there; run nothing.")


def main():
    suite = suite_from_flags()
    runs = [suite.run(row, seed) for row in suite.rows() for seed in suite.seeds]
    devices = different("devices", 0, 2**16) if flags.FLAGS.devices else []
    if not flags.FLAGS.report_only:
        try:
            with RunDirectory(suite.runs_dir).lock():
                play(runs, [str(device) for device in devices])
        except OSError as error:
            raise RunError(f"stopped; finished runs are kept: {error}") from error
    command = apart.command_line(leave_out=["--report_only"])
    try:
        outcomes = collect.write(suite, runs, command)
    except OSError as error:
        raise RunError(f"{suite.report_dir} cannot be written: {error}") from error
    print(f"report: {render(suite.report_dir)}")
    bad = [
        f"{run.row.name} seed {run.seed} {outcome['status']}: {outcome['reason']}"
        for run, outcome in zip(runs, outcomes, strict=True)
        if outcome["status"] != "ok"
    ]
    for line in bad:
        print(line)
    if bad:
        raise RunError(f"{len(bad)} of {len(runs)} runs are not whole")


def suite_from_flags():
    """The `Suite` that the flags describe.

    Raises:
        UsageError: if they describe none.
    """
    given = flags.FLAGS
    name, reference = commands.require("suite"), commands.require("reference")
    if not given.metrics:
        raise UsageError("--metrics is required, as fcd2k,coherence2k")
    for metric in given.metrics:
        less_is_better(metric)  # Now, not when all runs have ended.
    seeds = different("seeds", 0, 2**31 - 1)
    kind, _, path = given.extractor.partition(":")
    if kind == "inception" and "://" not in path and not pathlib.Path(path).exists():
        raise UsageError(f"--extractor names a file that is not there. Received: {path}")
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


def different(name, least, most):
    """The list flag `name` as ints.

    Raises:
        UsageError: if they are not, or two are the same.
    """
    values = commands.integers(name, least, most)
    if len(set(values)) < len(values):
        raise UsageError(f"--{name} must differ. Received: {','.join(map(str, values))}")
    return values


if __name__ == "__main__":
    commands.run(main, __doc__)
