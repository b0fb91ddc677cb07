"""The scores of a run's checkpoints, from generator to record."""

import functools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.prepared import Prepared
from keras_sagan.devices.cluster import Cluster
from keras_sagan.devices.strategy import make_cluster
from keras_sagan.errors import reason_of
from keras_sagan.evaluation.fakes import Inputs
from keras_sagan.evaluation.score_rows import Row, make_rows
from keras_sagan.evaluation.scorer import Scorer, Settings, make_scorer
from keras_sagan.evaluation.scores import INCEPTION
from keras_sagan.extractors.inception import MissingNetworkError
from keras_sagan.extractors.tasks import count_classes
from keras_sagan.metrics.protocol import metric_name
from keras_sagan.runs.checkpoints import choose_checkpoints, load_generator
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.reading import CheckpointReader
from keras_sagan.runs.run_data import open_run_data


class Evaluation(NamedTuple):
    """The scores of a run. In processes other than the chief there are none."""

    scores: dict[int, list[Row]]  # Rows by step, ascending.
    is_complete: bool  # Whether no damaged checkpoint was left out.
    unrecorded: dict[int, str]  # Why the scores of a step could not be recorded.


def evaluate_run(
    run: RunDirectory, config: Config, settings: Settings, load: Callable = load_generator
) -> Evaluation:
    """Scores checkpoints of a run, records the scores as they come and returns them.

    Each of several processes makes its share of the features; the chief does the rest. Checkpoints
    are read when the extractors are ready, because training may replace them meanwhile.

    Args:
        run: the run.
        config: its configuration, with the `data_dir` to use.
        settings: what is scored, and how.
        load: as `load_generator`.

    Returns:
        The scores. If the Inception network is missing, the `value` of its rows is None, and
        `unavailable` says why.

    Raises:
        UsageError: if a setting does not fit the run.
        RunError: if the run cannot be scored.
    """
    devices = settings.strategy, settings.replicas, settings.batch_size
    cluster = make_cluster(*devices, config.join_seconds)
    scores, reasons = {}, {}
    with cluster.stay_together():
        cluster.decide(lambda: choose_checkpoints(run.checkpoints, settings.checkpoint))
        on_chief = cluster.run_on_chief(lambda: open_run_data(run, config), "prepares the data")
        scorers = make_scorers(cluster, settings, on_chief or open_run_data(run, config))
        load_path = share_failures(cluster, functools.partial(load, config, ema=settings.ema))
        reader = CheckpointReader(run.checkpoints, load_path, cluster)
        for reading in reader.read_each(settings.checkpoint):
            name = str(pathlib.Path(reading.path).relative_to(run.path))
            for step, rows in score_reading(reading.value, name, scorers, settings, config):
                if cluster.is_chief:
                    scores.setdefault(step, []).extend(rows)
                    reasons |= try_to_record(run, step, rows)
    return Evaluation(dict(sorted(scores.items())), not reader.damaged, reasons)


def make_scorers(cluster: Cluster, settings: Settings, prepared: Prepared) -> list[Scorer | str]:
    """The scorer of each extractor, or the reason why there is none."""
    scorers, data_dir = [], str(prepared.data_dir)
    num_classes = count_classes(prepared.labels)
    # "auto" may be another one of them.
    for choice in dict.fromkeys(each.resolve(num_classes) for each in settings.extractors):
        try:
            scorers.append(make_scorer(cluster, choice, settings, prepared, data_dir))
        except MissingNetworkError as error:
            scorers.append(str(error))
    return scorers


def share_failures(cluster: Cluster, load: Callable[[str], Any]) -> Callable[[str], Any]:
    """Makes a function that calls `load` in the strategy's scope, and fails in all processes alike.

    Training may remove a checkpoint when only some of them have read it.
    """

    def load_in_scope(path):
        with cluster.strategy.scope():
            return load(path)

    def load_together(path):
        return cluster.fail_together(lambda: load_in_scope(path), f"checkpoint {path}")

    return load_together


def score_reading(
    loaded: tuple[Any, int],
    name: str,
    scorers: list[Scorer | str],
    settings: Settings,
    config: Config,
) -> Iterator[tuple[int, list[Row]]]:
    """Yields step and rows for each extractor.

    `loaded` are a generator and its step, and `name` is what records call the checkpoint.
    """
    generator, step = loaded
    inputs = Inputs(settings.seed, config.z_dim, config.num_classes)
    for scorer in scorers:
        if isinstance(scorer, str):
            yield step, unavailable_rows(step, settings, scorer)
        else:
            scores = scorer.score_generator(generator, inputs, config.is_symmetry)
            conditions = scorer.conditions() | {"step": step, "checkpoint": name}
            yield step, make_rows(scores, scorer.extractor.name, conditions)


def unavailable_rows(step: int, settings: Settings, reason: str) -> list[Row]:
    """Rows that say what is missing instead of scores."""
    count, suffix = settings.count or settings.protocol.fakes, settings.protocol.name
    metrics = [*INCEPTION.values(), "precision", "recall"]
    rest = {"value": None, "unavailable": reason, "step": step}
    return [{"metric": metric_name(name, count, suffix), **rest} for name in metrics]


def try_to_record(run: RunDirectory, step: int, rows: list[Row]) -> dict[int, str]:
    """Records scores; returns the reason by step if that fails, because they are valid anyway."""
    try:
        record_scores(run, step, rows)
    except (OSError, tf.errors.OpError) as error:
        return {step: reason_of(error)}
    return {}


def record_scores(run: RunDirectory, step: int, rows: list[Row]) -> None:
    """Appends rows to the run's records, and their values to its TensorBoard log."""
    run.append("metrics.jsonl", *rows)
    with tf.summary.create_file_writer(os.fsencode(run.tensorboard)).as_default(step):
        for row in rows:
            if row["value"] is not None:
                tf.summary.scalar(row["metric"], row["value"])
