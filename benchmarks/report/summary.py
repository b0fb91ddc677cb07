"""Computes the numbers of a suite's report from its table.

A *run* is one row with one seed. Means, intervals, speeds and times include only finished runs; for
a row with other runs, `failed` and `status` say so. An interval is the 2.5th to 97.5th percentile
of the mean over resampled seeds; for two seeds it is their range.
"""

import re

import numpy as np
import pandas as pd

from keras_sagan.errors import UsageError
from keras_sagan.metrics.diversity import LEAST

LOWER_IS_BETTER = {"fid", "fd", "kid", "kd", "intra_fid", "intra_fd"}
HIGHER_IS_BETTER = {"is", "precision", "recall", "label_accuracy", "coherence"}
NOT_SCORES = ("harness", "train", "watch")
COSTS = ("g_parameters", "d_parameters", "g_macs", "d_macs")
RESAMPLES = 10_000
COLUMNS = (
    *("row", "metric", "protocol", "seeds", "failed"),
    *("last_mean", "last_sd", "last_low", "last_high"),
    *("best_mean", "best_sd", "best_low", "best_high", "best_step_mean"),
    *("delta", "delta_low", "delta_high", "minutes_to_threshold", "reached", "minutes"),
    *("images_per_s", *COSTS, "status"),
)


def base_name(metric: str) -> str:
    """The name without its count: `fd` for `fd2k`."""
    return re.sub(r"\d+k?$", "", metric)


def is_lower_better(metric: str) -> bool:
    """Direction of a metric.

    Raises:
        UsageError: if the metric is unknown.
    """
    base = base_name(metric)
    if base not in LOWER_IS_BETTER | HIGHER_IS_BETTER:
        known = ", ".join(sorted(LOWER_IS_BETTER | HIGHER_IS_BETTER))
        raise UsageError(f"expected a metric of {known}. Received: metric={metric}")
    return base in LOWER_IS_BETTER


def select_scores(table: pd.DataFrame) -> pd.DataFrame:
    """The lines of a table that are scores, ordered by step."""
    lines = table[~table["protocol"].isin(NOT_SCORES)]
    return lines.sort_values(["row", "seed", "step"], ignore_index=True)


def list_runs(table: pd.DataFrame, suite: dict) -> pd.DataFrame:
    """All runs of a suite in its order, a line each: `row`, `seed`, `status`, `reason`.

    Runs without a line in the table have the status "missing".
    """
    keys = ["row", "seed"]
    known = table.drop_duplicates(keys).set_index(keys)[["status", "reason"]]
    wanted = pd.MultiIndex.from_product([list(suite["rows"]), suite["seeds"]], names=keys)
    absent = {"status": "missing", "reason": "the table has no line of it"}
    return known.reindex(wanted).fillna(absent).reset_index()


def find_collapsed(table: pd.DataFrame) -> pd.DataFrame:
    """Runs whose samples lost their diversity, or never became diverse, a line each.

    Returns:
        DataFrame of `row`, `seed`, and of the diversity relative to real images: the `least` after
        the collapse, the step where it occurred (`at`), and the `last`.
    """
    lines = table[(table["metric"] == "diversity") & (table["protocol"] == "watch")]
    lines = lines.sort_values("step")
    of_run = [lines["row"], lines["seed"]]
    alike = lines["value"] < LEAST
    # At the start of training, all samples may be alike without being a collapse.
    was_diverse = (~alike).groupby(of_run).cummax()
    last = lines["value"].groupby(of_run).transform("last")
    fallen = lines.assign(last=last)[alike & (was_diverse | (last < LEAST))]
    least = fallen.loc[fallen.groupby(["row", "seed"], sort=False)["value"].idxmin()]
    names = {"value": "least", "step": "at"}
    return least.rename(columns=names)[["row", "seed", "least", "at", "last"]]


def find_rolled_back(table: pd.DataFrame) -> pd.DataFrame:
    """Runs that returned to a checkpoint because of non-finite numbers.

    Returns:
        DataFrame of `row`, `seed` and `times`.
    """
    lines = table[(table["metric"] == "rollback") & (table["protocol"] == "train")]
    return lines.groupby(["row", "seed"], sort=False)["value"].count().rename("times").reset_index()


def order_metrics(table: pd.DataFrame, suite: dict) -> list[tuple[str, str]]:
    """Every scored pair of metric and protocol; `suite["metrics"]` come first, in order.

    Metrics of `suite["metrics"]` that were never scored precede all others, without a protocol.
    """
    found = select_scores(table)[["metric", "protocol"]].drop_duplicates().itertuples(index=False)
    order = {metric: place for place, metric in enumerate(suite["metrics"])}
    ordered = sorted(map(tuple, found), key=lambda pair: (order.get(pair[0], len(order)), pair))
    scored = {metric for metric, _ in ordered}
    return [(metric, "") for metric in suite["metrics"] if metric not in scored] + ordered


def summarize_suite(table: pd.DataFrame, suite: dict) -> pd.DataFrame:
    """A line for each row, metric and protocol of scores; the arguments are from `results`.

    Returns:
        DataFrame. `seeds`: finished runs with a value; `failed`: runs that did not finish;
        `last_*`, `best_*`: mean, standard deviation (ddof 1) and interval over seeds of the value
        at the last scored step and at each seed's best; `delta*`: difference of the last mean from
        the reference row's; `minutes_to_threshold`: median over seeds of the training minutes until
        the first scored step that is at least as good as the threshold, without interpolation, or
        infinity unless all runs reached it; `reached`: runs that did; `minutes`: of the whole
        training; `images_per_s`: median over records of finished runs; parameters and
        multiply-accumulates of a forward pass of one image.
    """
    all_runs = list_runs(table, suite)
    ok = select_scores(table[table["status"] == "ok"])
    common = {row: row_figures(table[table["row"] == row], all_runs, row) for row in suite["rows"]}
    lines = []
    for metric, protocol in order_metrics(table, suite):
        lower = is_lower_better(metric)
        of_metric = ok[(ok["metric"] == metric) & (ok["protocol"] == protocol)]
        by_row = {row: of_metric[of_metric["row"] == row] for row in suite["rows"]}
        reference = last_values(by_row[suite["reference"]])
        for row, own in by_row.items():
            names = {"row": row, "metric": metric, "protocol": protocol}
            figures = score_figures(own, reference, lower) | time_to_threshold(own, metric, suite)
            lines.append(names | figures | common[row])
    return pd.DataFrame(lines, columns=COLUMNS).astype({"reached": "Int64"})


def row_figures(lines, all_runs, row):
    """Figures that all metrics of a row share: unfinished runs, time, speed and costs."""
    own = all_runs[all_runs["row"] == row]
    bad = own[own["status"] != "ok"]
    finished = lines[lines["status"] == "ok"]
    speed = finished[(finished["metric"] == "images_per_s") & (finished["protocol"] == "train")]
    costs = lines[lines["protocol"] == "harness"].drop_duplicates("metric").set_index("metric")
    outcomes = [f"seed {run.seed} {run.status}: {run.reason}" for run in bad.itertuples()]
    return {
        "failed": len(bad),
        "minutes": finished.groupby("seed")["seconds"].max().mean() / 60,
        "images_per_s": speed["value"].median(),
        **costs["value"].reindex(COSTS).to_dict(),
        "status": "; ".join(outcomes) or "ok",
    }


def score_figures(lines, reference, lower):
    """Figures of one metric of one row; `reference` is from `last_values`."""
    own, best = last_values(lines), best_lines(lines, lower)
    delta_low, delta_high = delta_interval(own, reference)
    return {
        "seeds": len(own),
        **spread_figures("last", own.to_numpy()),
        **spread_figures("best", best["value"].to_numpy()),
        "best_step_mean": best["step"].mean(),
        "delta": own.mean() - reference.mean(),
        "delta_low": delta_low,
        "delta_high": delta_high,
    }


def last_values(lines):
    """The value at the last scored step, by seed; seeds whose value is not a number are omitted."""
    return lines.groupby("seed").tail(1).set_index("seed")["value"].dropna()


def best_lines(lines, lower):
    """The line of each seed's best value; the first if several are equal."""
    by_seed = lines.dropna(subset="value").groupby("seed")["value"]
    return lines.loc[by_seed.idxmin() if lower else by_seed.idxmax()]


def spread_figures(name, values):
    """Mean, standard deviation and interval over seeds; NaN if there are too few values."""
    low, high = percentile_interval(resample_means(values, np.random.default_rng(0)))
    return {
        f"{name}_mean": values.mean() if len(values) else np.nan,
        f"{name}_sd": values.std(ddof=1) if len(values) > 1 else np.nan,
        f"{name}_low": low,
        f"{name}_high": high,
    }


def resample_means(values, rng):
    """Means of resamples with replacement, `[RESAMPLES]`; NaN for fewer than two values."""
    count = len(values)
    if count < 2:
        return np.full(RESAMPLES, np.nan)
    return values[rng.integers(0, count, (RESAMPLES, count))].mean(axis=1)


def percentile_interval(means):
    """The 2.5th and 97.5th percentile."""
    return tuple(np.percentile(means, [2.5, 97.5]))


def delta_interval(own, reference):
    """Interval of the difference of means; seeds are resampled in pairs if both have the same."""
    rng = np.random.default_rng(0)
    if own.index.equals(reference.index):
        return percentile_interval(resample_means((own - reference).to_numpy(), rng))
    means, reference_means = (resample_means(each.to_numpy(), rng) for each in (own, reference))
    return percentile_interval(means - reference_means)


def time_to_threshold(lines, metric, suite):
    """Minutes until the headline metric's threshold, and how many of a row's runs reached it."""
    threshold = suite["threshold"]
    if threshold is None or metric != suite["metrics"][0]:
        return {"minutes_to_threshold": np.nan, "reached": np.nan}
    value = lines["value"]
    good = lines[value <= threshold if is_lower_better(metric) else value >= threshold]
    first = good.groupby("seed")["seconds"].first() / 60
    complete = len(first) == len(suite["seeds"])
    return {"minutes_to_threshold": first.median() if complete else np.inf, "reached": len(first)}
