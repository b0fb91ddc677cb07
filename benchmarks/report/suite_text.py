"""The sentences of a suite's report."""

from benchmarks.report.formatting import count_noun, join_words
from benchmarks.report.summary import base_name
from keras_sagan.metrics.diversity import LEAST

CURVES = (
    "Each line is the mean over a row's finished runs, and each band spans their minimum and "
    "maximum. Points are scored checkpoints. Over minutes, a point is drawn at the mean of the "
    "minutes that the runs had trained by that step; there is no interpolation between runs. The "
    "time includes the compilation of the first step, but not scoring. Runs that did not finish "
    "are thin dotted lines with a cross at the last score."
)
PUBLISHED = (
    "These numbers are from other data, other budgets and other protocols than the runs above, and "
    "are never part of our differences. We have not seen numbers marked “unverified” in the source "
    "itself."
)
# What a number of runs did.
COLLAPSED = (
    "collapsed: the mean distance between samples of one class, in gray thumbnails, was less than "
    f"{LEAST:.0%} of the distance between real images."
)
ROLLED_BACK = "produced non-finite numbers and resumed from the last checkpoint with other noise."
MEANINGS = {
    "fid": "Frechet distance between features of the 2015 Inception network",
    "intra_fid": "mean of the FIDs within each class",
    "kid": "kernel distance between features of the 2015 Inception network",
    "is": "Inception Score",
    "fd": "Frechet distance between features of the extractor",
    "intra_fd": "mean of the Frechet distances within each class",
    "kd": "kernel distance between features of the extractor",
    "precision": "fraction of generated images that lie among the real ones, in features",
    "recall": "fraction of real images that lie among the generated ones, in features",
    "label_accuracy": "fraction of generated images that the classifier assigns to their class",
    "coherence": "agreement between the halves of an image, exact; 1 for real images",
}
# Metrics that are named alike for the Inception network and for a classifier of the data set.
MEANINGS_BY_CLASSIFIER = {"is": "Inception-style score, by the classifier's predictions"}


def explain_metric(metric, protocol):
    """What a metric is, in a phrase."""
    base = base_name(metric)
    by_classifier = MEANINGS_BY_CLASSIFIER if protocol.startswith("classifier") else {}
    return by_classifier.get(base, MEANINGS[base])


def join_known(values):
    """All distinct values; runs that never started have none."""
    return join_words(sorted(set(values.dropna()) - {""})) or "unknown"


def describe_suite(table, suite, all_runs):
    """A paragraph on the experiment."""
    finished = (all_runs["status"] == "ok").sum()
    seeds = suite["seeds"]
    place = "; ".join(f"{name}: {join_known(table[name])}" for name in ("device", "precision"))
    return (
        f"{count_noun(len(suite['rows']), 'row')} were trained on {suite['dataset']} for "
        f"{suite['budget']} each, with {'seeds' if len(seeds) > 1 else 'seed'} {join_words(seeds)} "
        f"({place}): {count_noun(len(all_runs), 'run')}, of which {finished} finished. Differences "
        f"are from {suite['reference']}; the headline metric is {suite['metrics'][0]}."
    )


def reading_paragraphs(suite):
    """Paragraphs on names, on the meaning of each figure and on its limits."""
    return [
        "A metric's name contains the number of generated images (2k: 2,000) and, after the slash, "
        "the protocol or the network trained on the data. Scores are comparable only if both are "
        "the same.",
        "“Last” is the mean over seeds of the score at the last scored step, ± the standard "
        "deviation over seeds (ddof 1). “Best” uses each seed's best scored step instead. The more "
        "often a run is scored, the better its best looks, so rows are compared at the last step."
        + threshold_sentence(suite["threshold"]),
        "Δ is the difference between a row's last mean and the reference's. Intervals are the "
        "2.5th to 97.5th percentile over 10,000 resamples of the seeds. For differences, seeds are "
        "resampled in pairs if both rows have the same seeds. " + seeds_sentence(suite),
        "Images per second are generator batches, as the median over the records of training; with "
        "five discriminator updates per step, five times as many real images are used. Parameters "
        "are the trainable weights of both networks. MACs are multiply-accumulates of a forward "
        "pass of one image. All figures of all metrics are in summary.csv, and all values in "
        "results.parquet.",
    ]


def threshold_sentence(threshold):
    """What the column means, if there is a threshold."""
    if threshold is None:
        return ""
    return (
        f" “Minutes to {threshold:g}” is the median over seeds of the minutes of training until "
        "the first scored step at which the headline metric is at least as good, without "
        "interpolation. Unless all of a row's runs finished and reached it, the table states how "
        "many did."
    )


def seeds_sentence(suite):
    """How much an interval over so few seeds says."""
    count = len(suite["seeds"])
    if count == 1:
        return "There is one seed, so there is no interval and no deviation."
    if count == 2:
        return (
            "With two seeds, an interval is hardly an interval: it is the range between the two, "
            "and says nothing about a third."
        )
    return f"With {count} seeds, intervals are rough and usually too narrow."
