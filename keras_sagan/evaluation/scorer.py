"""Scores of generators by one extractor, against the real images."""

import base64
import dataclasses
import pathlib
from typing import Any

import numpy as np

from keras_sagan.data.prepared import Prepared
from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError, UsageError
from keras_sagan.evaluation import fakes
from keras_sagan.evaluation.fakes import Inputs
from keras_sagan.evaluation.reals import stored_features
from keras_sagan.evaluation.scores import FeatureSet, Score, all_scores, metric_names
from keras_sagan.extractors.extractor import Extractor
from keras_sagan.extractors.inception import inception
from keras_sagan.extractors.tasks import TASKS, count_classes
from keras_sagan.extractors.trained import UNWRITTEN, network_path, train_extractor, train_once
from keras_sagan.metrics.moments import Statistics, read_statistics
from keras_sagan.metrics.protocol import Protocol
from keras_sagan.progress import say_line
from keras_sagan.runs.checkpoint_files import sha256
from keras_sagan.values import CheckpointChoice, ExtractorChoice


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is scored, and how."""

    # The networks that make features, each with its own scores.
    extractors: tuple[ExtractorChoice, ...]
    protocol: Protocol  # Of Inception networks; trained ones have their own.
    count: int | None  # Generated images; None: as many as the protocol says.
    batch_size: int  # Images at a time, over all replicas.
    strategy: str  # "mirrored", or "multi_worker" for several processes.
    replicas: int  # Devices in each process; 0: all GPUs, or the CPU.
    checkpoint: CheckpointChoice  # Which checkpoints.
    ema: bool  # Whether the averaged weights are scored.
    batch_norm: str  # "moving", "batch" or "standing" statistics.
    seed: int  # Of latents and labels.
    # Path of a .npz file to compare with instead of the real images, or None.
    real_statistics: str | None
    save_statistics: str | None  # Path to which the real images' statistics are written, or None.


@dataclasses.dataclass(frozen=True)
class Scorer:
    """Scores generators by the features of one extractor."""

    cluster: Cluster  # Processes that share the work.
    extractor: Extractor  # Makes features.
    settings: Settings  # What is scored, and how.
    real: FeatureSet  # The real images, or the statistics of a file in their place.
    dataset: dict  # What records quote of the real images.

    def score_generator(self, generator, inputs: Inputs, keeps_images: bool) -> dict[str, Score]:
        """The scores of a generator; none in processes other than the chief."""
        strategy, settings = self.cluster.strategy, self.settings
        if settings.batch_norm == "standing":
            with strategy.scope():
                fakes.set_standing_statistics(generator, inputs)
        count = settings.count or self.extractor.protocol.fakes
        how = fakes.FakeSettings(count, settings.batch_size, settings.batch_norm, keeps_images)
        fake = fakes.fake_features(strategy, generator, self.extractor, inputs, how)
        if not self.cluster.is_chief:
            return {}
        names, accuracy = metric_names(self.extractor), self.extractor.predicts == "classes"
        return all_scores(self.real, fake, self.extractor.protocol, names, accuracy)

    def conditions(self) -> dict[str, Any]:
        """What the scores depend on besides the checkpoint, for their records."""
        extractor, settings, path = self.extractor, self.settings, self.settings.real_statistics
        meta = self.real.statistics.meta if self.real.statistics else {}
        return {
            "protocol": dataclasses.asdict(extractor.protocol),
            "extractor": extractor.record,
            "extractor_sha256": extractor.record["sha256"] or extractor.record["network"],
            # Of the real images; for a file that does not name them, the hash of the file.
            "data_sha256": meta.get("data_sha256") or (path and sha256(pathlib.Path(path))),
            "real_statistics": path,
            "dataset": self.dataset,
            "weights": "ema" if settings.ema else "raw",
            "batch_norm": settings.batch_norm,
            "batch_size": settings.batch_size,
            "seed": settings.seed,
            "devices": list(self.cluster.strategy.extended.worker_devices),
        }


def make_scorer(
    cluster: Cluster, choice: ExtractorChoice, settings: Settings, prepared: Prepared, data_dir: str
) -> Scorer:
    """The `Scorer` of an extractor, with the features of the real images.

    Raises:
        FileNotFoundError: if the Inception network is missing.
        UsageError: if the data do not suffice to train a network.
    """
    choice = choice.resolve(count_classes(prepared.labels))
    if task := TASKS.get(choice.kind):
        known = prepared.images, prepared.labels, prepared.record["sha256"], data_dir
        cluster.run_on_chief(lambda: train_once(task, *known), f"trains the {task.noun}")
        if cluster.size > 1:
            broadcast_unwritten(cluster, network_path(task, *known[2:]))
    extractor = make_extractor(cluster.strategy, choice, settings.protocol, prepared, data_dir)
    real = real_set(cluster, extractor, settings, prepared, data_dir)
    return Scorer(cluster, extractor, settings, real, prepared.summary)


def broadcast_unwritten(cluster: Cluster, path: pathlib.Path) -> None:
    """Gives every process the chief's network `path` if it could not be written."""
    arrays = UNWRITTEN.get(path, {}) if cluster.is_chief else {}
    shapes = cluster.broadcast({name: array.shape for name, array in arrays.items()})
    received = {}
    for name, shape in shapes.items():  # One at a time: messages have a largest size.
        content = np.asarray(arrays[name], np.float32).tobytes() if arrays else b""
        text = cluster.broadcast(base64.b64encode(content).decode())
        received[name] = np.frombuffer(base64.b64decode(text), np.float32).reshape(shape)
    if received and not cluster.is_chief:
        UNWRITTEN[path] = received


def make_extractor(
    strategy, choice: ExtractorChoice, protocol: Protocol, prepared: Prepared, data_dir: str
) -> Extractor:
    """A network of the data, trained on first use, or the Inception network in a protocol."""
    choice = choice.resolve(count_classes(prepared.labels))
    if choice.kind == "inception":
        with strategy.scope():
            return inception(choice.path, protocol)
    known = prepared.images, prepared.labels, prepared.record["sha256"], data_dir
    return train_extractor(TASKS[choice.kind], *known, strategy)


def real_set(cluster, extractor, settings, prepared: Prepared, data_dir: str) -> FeatureSet:
    """The features of the real images, or the statistics of a file in their place."""
    if settings.real_statistics:
        statistics = read_statistics(settings.real_statistics, "--real_statistics")
        check_statistics(statistics, extractor, settings.real_statistics)
        return FeatureSet(None, statistics=statistics)
    real = stored_features(cluster, extractor, prepared, data_dir, settings.batch_size)
    if settings.save_statistics and cluster.is_chief and real.statistics:
        path = pathlib.Path(settings.save_statistics)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            real.statistics.write_npz(path)
        except OSError as error:
            raise RunError(f"--save_statistics={path} cannot be written: {error}") from error
    return real


def check_statistics(statistics: Statistics, extractor: Extractor, path: str) -> None:
    """Checks that statistics, if they say where they come from, are of the same extractor.

    Raises:
        UsageError: if they are of another extractor or protocol.
    """
    protocol = dataclasses.asdict(extractor.protocol)
    known = {"extractor": extractor.record["sha256"], "protocol": protocol}
    for name, value in known.items():
        if statistics.meta.get(name, value) != value:
            raise UsageError(
                f"expected statistics of this {name} in --real_statistics={path}: {value}. "
                f"Received: {statistics.meta[name]}"
            )
    if "extractor" not in statistics.meta:
        say_line(f"note: {path} does not say which network made it: extractor unverified")
