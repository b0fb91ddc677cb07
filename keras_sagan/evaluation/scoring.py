"""The scores of a run's checkpoints, from generator to record."""

import functools
import pathlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.devices.strategy import make_cluster
from keras_sagan.evaluation.fakes import Inputs
from keras_sagan.evaluation.score_rows import Row, make_rows
from keras_sagan.evaluation.scorer import Settings, make_scorer
from keras_sagan.evaluation.scores import INCEPTION
from keras_sagan.metrics.protocol import metric_name
from keras_sagan.runs.checkpoint_files import step_of
from keras_sagan.runs.checkpoints import choose_checkpoints, load_generator
from keras_sagan.runs.directory import RunDirectory


def evaluate_run(
    run: RunDirectory, config: Config, settings: Settings, load: Callable = load_generator
) -> dict[int, list[Row]]:
    """Scores checkpoints of a run, records the scores and returns them.

    Each of several processes makes its share of the features; the chief does the rest.

    Args:
        run: the run.
        config: its configuration, with the `data_dir` to use.
        settings: what is scored, and how.
        load: as `load_generator`.

    Returns:
        Rows by step; none in processes other than the chief. If the Inception network is missing,
        the `value` of its rows is None, and `unavailable` says why.

    Raises:
        UsageError: if a setting does not fit the run.
        RunError: if the run cannot be scored.
    """
    devices = settings.strategy, settings.replicas, settings.batch_size
    cluster, found = make_cluster(*devices, config.join_seconds), {}
    inputs = Inputs(settings.seed, config.z_dim, config.num_classes)
    with cluster.stay_together():
        folder, choice = run.checkpoints, settings.checkpoint
        paths = cluster.broadcast(cluster.run_on_chief(lambda: choose_checkpoints(folder, choice)))
        wanted = config.image_set, config.data_dir, config.max_bad_fraction
        cluster.run_on_chief(lambda: prepare(*wanted), "prepares the data")
        prepared = prepare(*wanted)
        for extractor in settings.extractors:
            try:
                scorer = make_scorer(cluster, extractor, settings, prepared, config.data_dir)
            except FileNotFoundError as error:
                scored = unavailable_scores(paths, settings, str(error))
            else:
                load_path = functools.partial(load, config, ema=settings.ema)
                names = {path: str(pathlib.Path(path).relative_to(run.path)) for path in paths}
                scored = score_checkpoints(scorer, names, load_path, inputs, config.is_symmetry)
            for step, rows in scored:
                if cluster.is_chief:
                    found.setdefault(step, []).extend(rows)
                    record_scores(run, step, rows)
    return found


def score_checkpoints(scorer, names, load, inputs, keeps_images) -> Iterator[tuple[int, list]]:
    """Yields step and rows of each checkpoint.

    `names` is what records call each checkpoint, by path; `load` gives a path's generator and step.
    """
    for path, name in names.items():
        with scorer.cluster.strategy.scope():
            generator, step = load(path)
        scores = scorer.score_generator(generator, inputs, keeps_images)
        conditions = scorer.conditions() | {"step": step, "checkpoint": name}
        yield step, make_rows(scores, scorer.extractor.name, conditions)


def unavailable_scores(paths, settings: Settings, reason: str) -> Iterator[tuple[int, list]]:
    """Yields step and rows of each checkpoint, which say what is missing instead of scores."""
    count, suffix = settings.count or settings.protocol.fakes, settings.protocol.name
    metrics = [*INCEPTION.values(), "precision", "recall"]
    for step in map(step_of, paths):
        rest = {"value": None, "unavailable": reason, "step": step}
        yield step, [{"metric": metric_name(name, count, suffix), **rest} for name in metrics]


def record_scores(run: RunDirectory, step: int, rows: list[Row]) -> None:
    """Appends rows to the run's records, and their values to its TensorBoard log."""
    run.append("metrics.jsonl", *rows)
    with tf.summary.create_file_writer(str(run.tensorboard)).as_default(step):
        for row in rows:
            if row["value"] is not None:
                tf.summary.scalar(row["metric"], row["value"])
