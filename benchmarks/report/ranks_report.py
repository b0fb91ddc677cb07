"""The report of `benchmarks.ranks`: the checkpoints of a run in the order of two extractors."""

import pandas as pd

from benchmarks.report.document import Code, Section, Table
from benchmarks.report.formatting import decimal_places, format_number
from benchmarks.report.suite_text import explain_metric
from benchmarks.report.summary import is_lower_better
from keras_sagan.runs.provenance import PACKAGES

TITLE = "Do two extractors rank the checkpoints of a run alike?"
COLUMNS = ["metric", "extractor", "step", "value", "n_fake", "n_real"]
READING = (
    "Spearman's correlation is the correlation of ranks: 1 if both extractors put the checkpoints "
    "in the same order, -1 for the reverse order. The checkpoints are of one run, and scores "
    "improve while it trains. A score therefore also correlates with the step, as the last two "
    "columns show; agreement beyond that is in the order of checkpoints whose scores do not just "
    "follow the step. A few checkpoints of one run say nothing about other data."
)


def ranks_sections(rows: list[dict]) -> list[Section]:
    """All sections, in order, from the rows of `benchmarks.ranks`."""
    (run,) = (row for row in rows if row["part"] == "run")
    scores = select_scores(rows)
    return [
        Section("What was measured", [describe_scores(run, scores), READING]),
        Section("Correlations", [correlation_table(scores)]),
        Section("Checkpoints", [checkpoint_table(run, scores)]),
        Section("Provenance", provenance_blocks(run, scores)),
    ]


def select_scores(rows: list[dict]) -> pd.DataFrame:
    """The rows that are scores."""
    return pd.DataFrame([row for row in rows if row["part"] == "score"])


def correlate_ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlations of each metric's values by two extractors, and with the step.

    Returns:
        DataFrame of `metric`, `between` (the two extractors) and, for each extractor, a column of
        its name with its correlation with the step.
    """
    lines = []
    for metric, of_metric in scores.groupby("metric", sort=False):
        values = pivot_scores(of_metric)
        first, second = values.columns
        found = values.assign(step=values.index).corr(method="spearman")
        with_step = {name: found.loc[name, "step"] for name in (first, second)}
        lines.append({"metric": metric, "between": found.loc[first, second], **with_step})
    return pd.DataFrame(lines)


def pivot_scores(of_metric: pd.DataFrame) -> pd.DataFrame:
    """The values of one metric: a line for each step, a column for each extractor."""
    return of_metric.pivot(index="step", columns="extractor", values="value")


def describe_scores(run: dict, scores: pd.DataFrame) -> str:
    first = scores.iloc[0]
    names = scores["extractor"].unique()
    tests = {name: scores[scores["extractor"] == name].iloc[0]["test_accuracy"] for name in names}
    accuracies = ", ".join(
        f"{name} {accuracy:.1%}" for name, accuracy in tests.items() if pd.notna(accuracy)
    )
    return (
        f"{scores['step'].nunique()} checkpoints of one run, each scored with {first['n_fake']:,} "
        f"generated images against {first['n_real']:,} real ones. {run['metric']}: "
        f"{explain_metric(run['metric'], '')}. Accuracy on held-out real images: {accuracies}."
    )


def correlation_table(scores: pd.DataFrame) -> Table:
    found = correlate_ranks(scores)
    names = list(found.columns[2:])
    rows = [
        [metric, *(format_number(value, 3) for value in values)]
        for metric, *values in found.itertuples(index=False)
    ]
    header = ["metric", "between the extractors", *(f"{name} and step" for name in names)]
    return Table("Spearman's correlations over the checkpoints", header, rows)


def checkpoint_table(run: dict, scores: pd.DataFrame) -> Table:
    """A line for each checkpoint: value and rank by each extractor, 1 the best."""
    metric = run["metric"]
    values = pivot_scores(scores[scores["metric"] == metric])
    ranks = values.rank(ascending=is_lower_better(metric))
    places = {name: decimal_places(values[name]) for name in values}
    rows = []
    for step in values.index:
        cells = [f"{step:,}"]
        for name in values:
            cells.append(format_number(values.loc[step, name], places[name]))
            cells.append(f"{ranks.loc[step, name]:g}")
        rows.append(cells)
    header = ["step", *(cell for name in values for cell in (f"{metric}/{name}", "rank"))]
    return Table(f"{metric} and rank of each checkpoint", header, rows)


def provenance_blocks(run: dict, scores: pd.DataFrame) -> list:
    trained, data = run["trained_by"], run["data"]
    versions = [f"{name} {run['versions'].get(name)}" for name in ("python", *PACKAGES)]
    facts = [
        ["command", run["command"]],
        ["commit", str(run["commit"])],
        ["commit of training", str(trained["commit"])],
        ["commit of scores", join_distinct(scores["commit"])],
        ["data", f"{data['dataset']}, {data['count']:,} images, content {data['sha256'][:12]}"],
        ["seed of training", str(run["seed"])],
        ["seed of scores", join_distinct(scores["seed"])],
        ["weights", join_distinct(scores["weights"])],
        ["device of training", str(trained["device"])],
        ["machine", f"{run['machine']}, {run['cpus']} CPUs"],
        ["versions", ", ".join(versions)],
    ]
    evaluate = {" ".join(["python -m keras_sagan.evaluate", *each]) for each in scores["command"]}
    config = [f"{name}: {value}" for name, value in run["config"].items()]
    return [
        Table("Where the figures come from", ["", "value"], facts, texts=2),
        Code("Command of training", [" ".join(trained["command"])]),
        Code("Commands of scores", sorted(evaluate)),
        Code("Configuration", config),
    ]


def join_distinct(values: pd.Series) -> str:
    return ", ".join(sorted({str(value) for value in values}))
