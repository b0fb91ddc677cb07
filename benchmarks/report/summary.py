"""From the table of a suite to the numbers of its report.

A *run* is one row with one seed. Only runs that finished count in means, intervals, speeds and
times: where a row has runs that did not, `failed` and `status` say so. An interval is the 2.5th to
97.5th percentile of the mean over resampled seeds; over two seeds it is just their range.
"""

import re

import numpy as np
import pandas as pd

from keras_sagan.errors import UsageError
from keras_sagan.metrics.diversity import LEAST

LESS_IS_BETTER = {"fid", "fcd", "kid", "kcd", "intra_fid", "intra_fcd"}
MORE_IS_BETTER = {"is", "cs", "precision", "recall", "label_accuracy", "coherence"}
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


def base_name(metric):
    """`fcd2k` without its count: `fcd`."""
    return re.sub(r"\d+k?$", "", metric)


def less_is_better(metric):
    """Direction of a metric.

    Raises:
        UsageError: if it is not known.
    """
    base = base_name(metric)
    if base not in LESS_IS_BETTER | MORE_IS_BETTER:
        known = ", ".join(sorted(LESS_IS_BETTER | MORE_IS_BETTER))
        raise UsageError(f"expected a metric of {known}. Received: metric={metric}")
    return base in LESS_IS_BETTER


def scores(table):
    """The lines of a table that are scores, by step."""
    lines = table[~table["protocol"].isin(NOT_SCORES)]
    return lines.sort_values(["row", "seed", "step"], ignore_index=True)


def runs(table, suite):
    """All runs of a suite, one line each: `row`, `seed`, `status`, `reason`, in its order.

    Runs of which the table has no line have the status "missing".
    """
    keys = ["row", "seed"]
    known = table.drop_duplicates(keys).set_index(keys)[["status", "reason"]]
    wanted = pd.MultiIndex.from_product([list(suite["rows"]), suite["seeds"]], names=keys)
    absent = {"status": "missing", "reason": "the table has no line of it"}
    return known.reindex(wanted).fillna(absent).reset_index()


def collapsed(table):
    """Runs whose samples became too much alike, or were so to the end, one line each.

    Returns:
        DataFrame of `row`, `seed`, and of their diversity, in parts of that of real images: the
        `least` then, the step where it was (`at`), and the `last`.
    """
    lines = table[(table["metric"] == "diversity") & (table["protocol"] == "watch")]
    lines = lines.sort_values("step")
    of_run = [lines["row"], lines["seed"]]
    alike = lines["value"] < LEAST
    # A generator that has just begun may make one image only, and learn.
    was_diverse = (~alike).groupby(of_run).cummax()
    last = lines["value"].groupby(of_run).transform("last")
    fallen = lines.assign(last=last)[alike & (was_diverse | (last < LEAST))]
    least = fallen.loc[fallen.groupby(["row", "seed"], sort=False)["value"].idxmin()]
    names = {"value": "least", "step": "at"}
    return least.rename(columns=names)[["row", "seed", "least", "at", "last"]]


def diverged(table):
    """Runs that went back to a checkpoint because of numbers that were not finite.

    Returns:
        DataFrame of `row`, `seed` and `times`.
    """
    lines = table[(table["metric"] == "rollback") & (table["protocol"] == "train")]
    return lines.groupby(["row", "seed"], sort=False)["value"].count().rename("times").reset_index()


def pairs(table, suite):
    """Every metric and protocol that was scored: first those of `suite["metrics"]`, in order.

    Before all others those of `suite["metrics"]` that never were, without a protocol.
    """
    found = scores(table)[["metric", "protocol"]].drop_duplicates().itertuples(index=False)
    order = {metric: place for place, metric in enumerate(suite["metrics"])}
    ordered = sorted(map(tuple, found), key=lambda pair: (order.get(pair[0], len(order)), pair))
    scored = {metric for metric, _ in ordered}
    return [(metric, "") for metric in suite["metrics"] if metric not in scored] + ordered


def summary(table, suite):
    """One line for each row, metric and protocol of scores.

    Args:
        table: DataFrame, as `results.parquet`.
        suite: dict, as `suite.json`.

    Returns:
        DataFrame. `seeds`: finished runs that have a value; `failed`: runs that did not finish;
        `last_*`, `best_*`: mean, standard deviation (ddof 1) and interval over seeds of the value
        at the last scored step and at each seed's best; `delta*`: of the last mean, from that of
        the reference row; `minutes_to_threshold`: median over seeds of training minutes up to the
        first scored step, without interpolation, that is at least as good as the threshold,
        infinite unless all runs reached it, of which `reached` did; `minutes`: of the whole
        training; `images_per_s`: median over records of finished runs; parameters and
        multiply-accumulates of a forward pass of one image.
    """
    all_runs = runs(table, suite)
    ok = scores(table[table["status"] == "ok"])
    common = {row: of_row(table[table["row"] == row], all_runs, row) for row in suite["rows"]}
    lines = []
    for metric, protocol in pairs(table, suite):
        less = less_is_better(metric)
        of_metric = ok[(ok["metric"] == metric) & (ok["protocol"] == protocol)]
        by_row = {row: of_metric[of_metric["row"] == row] for row in suite["rows"]}
        reference = last(by_row[suite["reference"]])
        for row, own in by_row.items():
            names = {"row": row, "metric": metric, "protocol": protocol}
            figures = of_scores(own, reference, less) | times(own, metric, suite)
            lines.append(names | figures | common[row])
    return pd.DataFrame(lines, columns=COLUMNS).astype({"reached": "Int64"})


def of_row(lines, all_runs, row):
    """What all metrics of a row share: runs that did not finish, time, speed, costs."""
    own = all_runs[all_runs["row"] == row]
    bad = own[own["status"] != "ok"]
    finished = lines[lines["status"] == "ok"]
    speed = finished[(finished["metric"] == "images_per_s") & (finished["protocol"] == "train")]
    costs = lines[lines["protocol"] == "harness"].drop_duplicates("metric").set_index("metric")
    said = [f"seed {run.seed} {run.status}: {run.reason}" for run in bad.itertuples()]
    return {
        "failed": len(bad),
        "minutes": finished.groupby("seed")["seconds"].max().mean() / 60,
        "images_per_s": speed["value"].median(),
        **costs["value"].reindex(COSTS).to_dict(),
        "status": "; ".join(said) or "ok",
    }


def of_scores(lines, reference, less):
    """Figures of one metric of one row; `reference` as of `last`."""
    own, best = last(lines), best_lines(lines, less)
    delta_low, delta_high = delta_interval(own, reference)
    return {
        "seeds": len(own),
        **spread("last", own.to_numpy()),
        **spread("best", best["value"].to_numpy()),
        "best_step_mean": best["step"].mean(),
        "delta": own.mean() - reference.mean(),
        "delta_low": delta_low,
        "delta_high": delta_high,
    }


def last(lines):
    """Value at the last scored step, by seed; none for a seed of which that is not a number."""
    return lines.groupby("seed").tail(1).set_index("seed")["value"].dropna()


def best_lines(lines, less):
    """The line of each seed's best value; of equal ones the first."""
    by_seed = lines.dropna(subset="value").groupby("seed")["value"]
    return lines.loc[by_seed.idxmin() if less else by_seed.idxmax()]


def spread(name, values):
    """Mean, standard deviation and interval of values over seeds; NaN where they need more."""
    low, high = interval(resampled(values, np.random.default_rng(0)))
    return {
        f"{name}_mean": values.mean() if len(values) else np.nan,
        f"{name}_sd": values.std(ddof=1) if len(values) > 1 else np.nan,
        f"{name}_low": low,
        f"{name}_high": high,
    }


def resampled(values, rng):
    """Means of resamples with replacement, `[RESAMPLES]`; NaN for fewer than two values."""
    count = len(values)
    if count < 2:
        return np.full(RESAMPLES, np.nan)
    return values[rng.integers(0, count, (RESAMPLES, count))].mean(axis=1)


def interval(means):
    """Percentiles 2.5 and 97.5."""
    return tuple(np.percentile(means, [2.5, 97.5]))


def delta_interval(own, reference):
    """Of the difference of means; seeds are resampled in pairs if both have the same ones."""
    rng = np.random.default_rng(0)
    if own.index.equals(reference.index):
        return interval(resampled((own - reference).to_numpy(), rng))
    return interval(resampled(own.to_numpy(), rng) - resampled(reference.to_numpy(), rng))


def times(lines, metric, suite):
    """Minutes to the threshold of the headline metric, and how many runs reached it.

    Args:
        lines: scores of finished runs of one row.
        metric: str.
        suite: dict, as `suite.json`.
    """
    threshold = suite["threshold"]
    if threshold is None or metric != suite["metrics"][0]:
        return {"minutes_to_threshold": np.nan, "reached": np.nan}
    value = lines["value"]
    good = lines[value <= threshold if less_is_better(metric) else value >= threshold]
    first = good.groupby("seed")["seconds"].first() / 60
    complete = len(first) == len(suite["seeds"])
    return {
        "minutes_to_threshold": first.median() if complete else np.inf,
        "reached": len(first),
    }
