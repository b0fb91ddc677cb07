"""The scores of a run's checkpoints, from generator to record."""

import dataclasses
import hashlib
import pathlib

import tensorflow as tf

from keras_sagan.data.prepared import prepare
from keras_sagan.devices.cluster import Cluster
from keras_sagan.devices.strategy import make_strategy
from keras_sagan.errors import RunError, UsageError
from keras_sagan.evaluation import report
from keras_sagan.evaluation.fakes import fake_features, standing_statistics
from keras_sagan.evaluation.reference import reference
from keras_sagan.evaluation.scores import CLASSIFIER, INCEPTION, FeatureSet, all_scores
from keras_sagan.extractors.classifier import classifier, train_once
from keras_sagan.extractors.inception import inception
from keras_sagan.metrics.moments import read_statistics
from keras_sagan.metrics.protocol import metric_name
from keras_sagan.runs.checkpoint_files import step_of
from keras_sagan.runs.checkpoints import chosen_checkpoints, load_generator


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is scored, and how.

    Attributes:
        extractor: "classifier" or "inception:PATH".
        protocol: `Protocol` of an Inception network; a classifier has its own.
        count: int, fakes; None: as many as the protocol says.
        batch_size: int, images at a time, over all replicas.
        strategy: "mirrored", or "multi_worker" of many processes.
        replicas: int, devices in each process; 0: all GPUs, or the CPU.
        checkpoint: "newest", "best", "all" or a step.
        ema: bool, whether the averaged weights are scored.
        batch_norm: "moving", "batch" or "standing" statistics.
        seed: int, of latents and labels.
        real_statistics: path of a .npz file to compare with instead of the real images, or None.
        save_statistics: path to which the real images' statistics are written, or None.
    """

    extractor: str
    protocol: object
    count: int | None
    batch_size: int
    strategy: str
    replicas: int
    checkpoint: str
    ema: bool
    batch_norm: str
    seed: int
    real_statistics: str | None
    save_statistics: str | None


def evaluate_run(run, config, settings, load=load_generator):
    """Scores checkpoints of a run, records the scores and returns them.

    Of several processes each makes its share of the features; the chief does the rest.

    Args:
        run: `RunDirectory`.
        config: its `Config`, with the `data_dir` to use.
        settings: `Settings`.
        load: function of config, path and whether to average, as `load_generator`.

    Returns:
        dict: step to rows; empty in other processes than the chief. Without the Inception network
        its metrics are rows whose `value` is None and whose `unavailable` says why.

    Raises:
        UsageError: if something that was asked for does not fit the run.
        RunError: if the run cannot be scored.
    """
    # Communication between replicas, if the run had any, was that of training.
    config = dataclasses.replace(
        config,
        batch_size=settings.batch_size,
        strategy=settings.strategy,
        replicas=settings.replicas,
        jit_compile="off",
    )
    strategy = make_strategy(config)
    cluster, found = Cluster(strategy), {}
    with cluster.stay_together():
        chosen = cluster.run_on_chief(
            lambda: chosen_checkpoints(run.checkpoints, settings.checkpoint)
        )
        for step, rows in score_checkpoints(run, config, settings, load, strategy, chosen):
            if cluster.is_chief:
                found[step] = rows
                record(run, step, rows)
    return found


def score_checkpoints(run, config, settings, load, strategy, paths):
    """Yields step and rows of each checkpoint of `paths`, which are the chief's to name."""
    cluster = Cluster(strategy)
    paths = cluster.broadcast(paths)
    wanted = config.image_set, config.data_dir, config.max_bad_fraction
    cluster.run_on_chief(lambda: prepare(*wanted), "prepares the data")
    prepared = prepare(*wanted)
    try:
        extractor = make_extractor(
            strategy, settings.extractor, settings.protocol, prepared, config.data_dir
        )
    except FileNotFoundError as error:
        for path in paths:
            yield step_of(path), unavailable(settings, step_of(path), error)
        return
    settings = dataclasses.replace(settings, count=settings.count or extractor.protocol.fakes)
    real = real_set(strategy, extractor, prepared, config, settings)
    for path in paths:
        with strategy.scope():
            generator, step = load(config, path, settings.ema)
        scores = score_generator(strategy, extractor, config, settings, generator, real)
        conditions = {
            "protocol": dataclasses.asdict(extractor.protocol),
            "extractor": extractor.record,
            "extractor_sha256": extractor.record["sha256"] or extractor.record["network"],
            # Of the real images; of a file that does not say whose statistics it has, its own.
            "data_sha256": real.statistics.meta.get("data_sha256") or reference_sha256(settings),
            "real_statistics": settings.real_statistics,
            "dataset": prepared.summary,
            "step": step,
            "checkpoint": str(pathlib.Path(path).relative_to(run.path)),
            "weights": "ema" if settings.ema else "raw",
            "batch_norm": settings.batch_norm,
            "batch_size": settings.batch_size,
            "seed": settings.seed,
            "devices": list(strategy.extended.worker_devices),
        }
        yield step, report.make_rows(scores, extractor.name, conditions)


def make_extractor(strategy, name, protocol, prepared, data_dir):
    """The `Extractor` "classifier" of the data, or "inception:PATH" in a protocol."""
    kind, _, path = name.partition(":")
    if kind == "inception":
        with strategy.scope():
            return inception(path, protocol)
    known = prepared.images, prepared.labels, prepared.record["sha256"], data_dir
    Cluster(strategy).run_on_chief(lambda: train_once(*known), "trains the classifier")
    return classifier(*known, strategy)


def real_set(strategy, extractor, prepared, config, settings):
    """The `FeatureSet` of the real images, or the statistics of a file in their place."""
    if settings.real_statistics:
        statistics = read_statistics(settings.real_statistics, "--real_statistics")
        check_statistics(statistics, extractor, settings.real_statistics)
        return FeatureSet(None, statistics=statistics)
    real = reference(strategy, extractor, prepared, config.data_dir, settings.batch_size)
    if settings.save_statistics and Cluster(strategy).is_chief:
        path = pathlib.Path(settings.save_statistics)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            real.statistics.write(path)
        except OSError as error:
            raise RunError(f"--save_statistics={path} cannot be written: {error}") from error
    return real


def reference_sha256(settings):
    return hashlib.sha256(pathlib.Path(settings.real_statistics).read_bytes()).hexdigest()


def check_statistics(statistics, extractor, path):
    """Whether a file that says where its statistics are from says the same as `extractor`."""
    known = {
        "extractor": extractor.record["sha256"],
        "protocol": dataclasses.asdict(extractor.protocol),
    }
    for name, value in known.items():
        if statistics.meta.get(name, value) != value:
            raise UsageError(
                f"expected statistics of this {name} in --real_statistics={path}: {value}. "
                f"Received: {statistics.meta[name]}"
            )
    if "extractor" not in statistics.meta:
        report.say(f"note: {path} does not say by which network it was made: extractor unverified")


def score_generator(strategy, extractor, config, settings, generator, real):
    """The scores of a checkpoint's generator; none in other processes than the chief."""
    if settings.batch_norm == "standing":
        with strategy.scope():
            standing_statistics(generator, config, settings.seed)
    fake = fake_features(strategy, generator, extractor, config, settings)
    if not Cluster(strategy).is_chief:
        return {}
    names = INCEPTION if extractor.inception else CLASSIFIER
    accuracy = extractor.labels and fake.labels is not None
    return all_scores(real, fake, extractor.protocol, names, accuracy)


def unavailable(settings, step, reason):
    """Rows that say what is missing, in the place of scores."""
    count = settings.count or settings.protocol.fakes
    names = [*INCEPTION.values(), "precision", "recall"]
    return [
        {
            "metric": metric_name(name, count, settings.protocol.name),
            "value": None,
            "unavailable": str(reason),
            "step": step,
        }
        for name in names
    ]


def record(run, step, rows):
    """Appends rows to the run's records, and their values to its TensorBoard."""
    run.append("metrics.jsonl", *rows)
    known = [row for row in rows if row["value"] is not None]
    with tf.summary.create_file_writer(str(run.tensorboard)).as_default(step):
        for row in known:
            tf.summary.scalar(row["metric"], row["value"])
