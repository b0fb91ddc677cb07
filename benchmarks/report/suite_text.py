"""The sentences of a suite's report."""

from benchmarks.cells import counted, listed
from benchmarks.summary import base_name
from keras_sagan.metrics.diversity import LEAST

CURVES = (
    "Each line is the mean over a row's finished runs, each band reaches from the least to the "
    "most of them. Points are scored checkpoints: over minutes, one stands at the mean of the "
    "minutes that its runs had trained by that step, and nothing is interpolated between runs. "
    "Compiling the first step is counted as training, scoring is not. Runs that did not finish "
    "are thin dotted lines with a cross at the last score."
)
PUBLISHED = (
    "These numbers are from other data, other budgets and other protocols than the runs above, and "
    'are never part of our differences. "Unverified" marks those that we have not seen '
    "in the source itself."
)
MEANINGS = {
    "fid": "Frechet distance of features of the 2015 Inception network",
    "intra_fid": "mean over classes of the fid within a class",
    "kid": "kernel distance of features of the 2015 Inception network",
    "is": "inception score",
    "fcd": "Frechet distance of features of a classifier that was trained on the data set",
    "intra_fcd": "mean over classes of the fcd within a class",
    "kcd": "kernel distance of that classifier's features",
    "cs": "inception score by that classifier's predictions",
    "precision": "share of the generated images that lie among the real ones, in features",
    "recall": "share of the real images that lie among the generated ones, in features",
    "label_accuracy": "share of the generated images that the classifier takes for their class",
    "coherence": "how well the halves of an image belong together, exact; 1 for real images",
}


def meaning(metric):
    return MEANINGS[base_name(metric)]


def known(values):
    """All different values; a run that never began has none."""
    return listed(sorted(set(values.dropna()) - {""})) or "unknown"


def compared(table, suite, all_runs):
    """One paragraph on the experiment."""
    finished = (all_runs["status"] == "ok").sum()
    seeds = suite["seeds"]
    place = "; ".join(f"{name}: {known(table[name])}" for name in ("device", "precision"))
    return (
        f"{counted(len(suite['rows']), 'row')} trained on {suite['dataset']} for "
        f"{suite['budget']} each, with {'seeds' if len(seeds) > 1 else 'seed'} {listed(seeds)} "
        f"({place}): {counted(len(all_runs), 'run')}, of which {finished} finished. "
        f"Differences are to {suite['reference']}; the headline metric is {suite['metrics'][0]}."
    )


def alike(count):
    """That so many runs collapsed."""
    return (
        f"{counted(count, 'run')} collapsed: samples of a class differed from each other by less "
        f"than {LEAST:.0%} of what real images do, in the mean distance of gray thumbnails."
    )


def back(count):
    """That the numbers of so many runs were not finite on the way."""
    return (
        f"{counted(count, 'run')} came to numbers that were not finite, and went on from the last "
        "checkpoint with other noise."
    )


def reading(suite):
    """Paragraphs on names, on what each figure means and on what it does not show."""
    return [
        "A metric's name has the number of generated images (2k: 2,000) and, behind the "
        "slash, the protocol or the classifier that judged: scores compare only where both are "
        "the same.",
        '"Last" is the mean over seeds of the score at the last scored step, ± the '
        "standard deviation over seeds (with one degree of freedom less than seeds). "
        '"Best" takes each seed\'s best scored step instead; the more often a run '
        "is scored, the better it looks, so rows are compared at the last step."
        + minutes_to(suite["threshold"]),
        "Δ is the difference of a row's last mean to that of the reference. Intervals "
        "are the 2.5th to 97.5th percentile over 10,000 resamples of the seeds; those of "
        "differences resample seeds in pairs where both rows have the same ones. " + few(suite),
        "Images per second are batches of the generator's updates, the median over the records of "
        "training; with five discriminator updates a step, five times as many real images go in. "
        "Parameters count both networks' trainable weights; MACs are multiply-accumulates of "
        "a forward pass of one image. All figures of all metrics are in summary.csv, all values "
        "in results.parquet.",
    ]


def minutes_to(threshold):
    """What the column says, if there is a threshold."""
    if threshold is None:
        return ""
    return (
        f' "Minutes to {threshold:g}" is the median over seeds of the minutes of training up to '
        "the first scored step at which the headline metric is at least as good as that, without "
        "interpolation; unless all of a row's runs finished and reached it, the table says how "
        "many did."
    )


def few(suite):
    """What an interval over so few seeds is worth."""
    count = len(suite["seeds"])
    if count == 1:
        return "There is one seed, so there is no interval and no deviation."
    if count == 2:
        return (
            "There are two seeds, and an interval over two seeds is hardly an interval: it is "
            "the range between the two, and says nothing about a third."
        )
    return f"There are {count} seeds; intervals over so few are rough, and usually too narrow."
