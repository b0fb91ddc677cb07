"""The parts of a comparison: rows, seeds and a budget, and the command lines of its runs."""

import dataclasses
import pathlib
import re
import shlex
import sys

from absl import flags

from benchmarks.measure.subprocesses import ROOT
from keras_sagan import commands
from keras_sagan.errors import UsageError
from keras_sagan.flag_files import expand_flag_files

# Folders that are searched for a model's flag file before its name is taken as a path.
MODEL_FOLDERS = (ROOT / "benchmarks" / "rows", ROOT / "keras_sagan" / "configs")
# The modules that train and score a row: ours, or the baseline of stock Keras parts.
OURS = ("keras_sagan.train", "keras_sagan.evaluate")
PROGRAMS = {"keras_naive": ("benchmarks.train_naive", "benchmarks.evaluate_naive")}
# Names that these modules had until version 0.1.0, in the outcomes of earlier runs.
EARLIER_PROGRAMS = {
    "benchmarks.keras_naive_run": "benchmarks.train_naive",
    "benchmarks.keras_naive_evaluate": "benchmarks.evaluate_naive",
}
# The default that suites had before "auto".
EARLIER_DEFAULT = {"--extractor=classifier": "--extractor=auto"}
# More steps than any run that is limited by minutes.
ENDLESS = 10**9


@dataclasses.dataclass(frozen=True)
class Suite:
    """A comparison; the fields are the flags of `benchmarks.compare`."""

    suite: str
    title: str
    row: list
    common: list
    dataset: str
    seeds: list
    steps: int | None
    minutes: float | None
    images: int | None
    score_every: int
    num_samples: int
    extractor: str
    metrics: list
    threshold: float | None
    reference: str
    data_dir: str
    runs_dir: str
    report_dir: str

    def rows(self) -> list["Row"]:
        """The `Row`s, in order.

        Raises:
            UsageError: if the suite is inconsistent.
        """
        if not re.fullmatch(r"\w[\w.-]*", self.suite):
            raise UsageError(f"--suite must be a plain name. Received: {self.suite}")
        budgets = [each for each in (self.steps, self.minutes, self.images) if each]
        if len(budgets) != 1:
            raise UsageError(
                "expected one budget: --steps, --minutes or --images. "
                f"Received: steps={self.steps}, minutes={self.minutes}, images={self.images}"
            )
        rows = [Row.parse(text) for text in self.row]
        names = [row.name for row in rows]
        listed = ", ".join(names)
        if not rows or len(set(names)) < len(names):
            raise UsageError(f"expected one --row for each name. Received: {listed}")
        if self.reference not in names:
            received = f"Received: {self.reference}"
            raise UsageError(f"--reference must be one of the rows {listed}. {received}")
        return rows

    def budget(self) -> str:
        """The budget in words."""
        if self.minutes:
            return f"{self.minutes:g} minutes of training"
        if self.images:
            return f"{self.images:,} real images"
        return f"{self.steps:,} steps"

    def make_run(self, row: "Row", seed: int) -> "Run":
        """The `Run` of a row with a seed."""
        return Run(self, row, seed, pathlib.Path(self.runs_dir) / row.name / f"seed_{seed}")


@dataclasses.dataclass(frozen=True)
class Row:
    """One of the compared experiments."""

    name: str
    model: str  # A flag file of `MODEL_FOLDERS` without its extension, or a path.
    overrides: list[str]  # Flags, applied after the suite's.

    @classmethod
    def parse(cls, text: str) -> "Row":
        """Parses `MODEL` or `NAME=MODEL --flag=value ...`.

        Raises:
            UsageError: if it is neither.
        """
        try:
            first, *overrides = shlex.split(text)
        except ValueError as error:
            expected = "--row must be MODEL or NAME=MODEL FLAGS"
            raise UsageError(f"{expected}. Received: {text!r}") from error
        name, _, model = first.rpartition("=")
        name = name or model
        if not re.fullmatch(r"\w[\w.+-]*", name):
            raise UsageError(f"--row must have a plain name, e.g. NAME=MODEL. Received: {text}")
        return cls(name, model, overrides)

    @property
    def programs(self):
        return PROGRAMS.get(pathlib.Path(self.model).stem, OURS)

    @property
    def flag_file(self):
        places = [folder / f"{self.model}.flags" for folder in MODEL_FOLDERS]
        found = next((place for place in places if place.is_file()), None)
        return found.relative_to(ROOT) if found else pathlib.Path(self.model)


@dataclasses.dataclass(frozen=True)
class Run:
    """A row with a seed: one training, then its scores."""

    suite: Suite
    row: Row
    seed: int
    path: pathlib.Path  # The run directory; its log and, in the end, its outcome are beside it.

    @property
    def log(self):
        return self.path.with_suffix(".log")

    @property
    def outcome(self):
        return self.path.with_suffix(".json")

    def flags(self):
        """All flags of `Config`: the model's, the suite's, the row's, and the harness's."""
        given = [f"--flagfile={self.row.flag_file}", *self.suite.common, *self.row.overrides]
        return [*given, *(f"--{name}={value}" for name, value in self.harness_options().items())]

    def harness_options(self):
        """Values of the flags that only the harness sets, by name, except `total_steps`."""
        return {
            "dataset": self.suite.dataset,
            "seed": self.seed,
            "total_minutes": self.suite.minutes or 0,
            "sample_every": self.suite.score_every,
            "checkpoint_every": self.suite.score_every,
            "keep_checkpoints": ENDLESS,  # All are scored.
            "data_dir": self.suite.data_dir,
        }

    def config(self):
        """The `Config` of these flags.

        Raises:
            flags.Error, UsageError: if they are invalid, or a row sets a flag of the harness.
        """
        settings = parse_flags([*self.suite.common, *self.row.overrides])
        fixed = (*self.harness_options(), "total_steps")
        owned = [f"--{name}" for name in fixed if settings[name].present]
        if owned:
            raise UsageError(
                "expected rows without the flags that the suite sets for all rows. "
                f"Received: {', '.join(owned)}"
            )
        config = commands.config_from_flags(parse_flags(self.flags()))
        total = ENDLESS if self.suite.minutes else self.suite.steps
        if self.suite.images:
            total = max(self.suite.images // (config.batch_size * config.d_steps), 1)
        return dataclasses.replace(config, total_steps=total)

    def commands(self):
        """Two command lines, as lists: one trains, and one scores every checkpoint."""
        train, evaluate = ([sys.executable, "-m", module] for module in self.row.programs)
        total, place = f"--total_steps={self.config().total_steps}", f"--run_dir={self.path}"
        score = ["--checkpoint=all", f"--num_samples={self.suite.num_samples}"]
        score += [f"--extractor={self.suite.extractor}"]
        return [[*train, *self.flags(), total, place], [*evaluate, place, *score]]


def parse_flags(given: list[str]) -> flags.FlagValues:
    """Parses a list of flags and flag files into the flags of `Config`."""
    values = flags.FlagValues()
    commands.define_config_flags(values)
    extra = values(["compare", *expand_flag_files(given)])[1:]
    if extra:
        raise UsageError(f"expected flags of the form --name=value. Received: {' '.join(extra)}")
    return values


def current_command(line: str, extractor: str) -> str:
    """A command line, e.g. from an earlier outcome, as a suite would have it now.

    It has the current names of the modules. If `extractor`, the suite's, is "auto", it has that in
    place of "classifier", the default of earlier suites: the data of a run that a classifier has
    scored have classes, so both are the same network.
    """
    now = EARLIER_PROGRAMS | (EARLIER_DEFAULT if extractor == "auto" else {})
    return " ".join(now.get(word, word) for word in line.split(" "))
