"""Features of real images, computed once and stored beside the data."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
import tensorflow as tf

from keras_sagan.data.prepared import Prepared
from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError, UsageError
from keras_sagan.evaluation.extraction import Batches, extract_features
from keras_sagan.evaluation.scores import FeatureSet
from keras_sagan.extractors.extractor import Extractor
from keras_sagan.extractors.tasks import count_classes
from keras_sagan.files import written_whole
from keras_sagan.metrics.moments import Moments, Statistics, read_statistics
from keras_sagan.progress import say_line

# Increases when the stored files, or their computation, change.
VERSION = 1


def real_features(
    strategy: tf.distribute.Strategy, extractor: Extractor, images: np.ndarray, batch_size: int
) -> np.ndarray:
    """Features `[N, d]` of images, uint8 `[N, H, W, C]`."""

    def network(levels):
        return extractor(tf.cast(levels, tf.float32) * (2 / 255) - 1)

    def read_batch(start, count):
        part = images[start : start + count]
        # Copies of the first image complete the last batch.
        return (np.concatenate([part, np.repeat(part[:1], count - len(part), axis=0)]),)

    batches = Batches("real image", len(images), read_batch)
    return extract_features(strategy, network, batches, batch_size)[0]


def stored_features(
    cluster: Cluster, extractor: Extractor, prepared: Prepared, data_dir: str, batch_size: int
) -> FeatureSet:
    """Features and statistics of the real images, memory-mapped from `data_dir`.

    On first use, all processes make them and the chief writes the files. If it cannot, they stay in
    memory, and a note says so.

    Raises:
        RunError: if the files cannot be read.
    """
    count = min(len(prepared.images), extractor.protocol.reals or len(prepared.images))
    meta = {
        "version": VERSION,
        "data_sha256": prepared.record["sha256"],
        "n": count,
        "extractor": extractor.record["sha256"] or extractor.record["network"],
        "protocol": dataclasses.asdict(extractor.protocol),
    }
    key = hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()[:16]
    folder = pathlib.Path(data_dir) / "features" / key
    # Without classes there are no distances within classes.
    has_classes = count_classes(prepared.labels) > 1
    labels = np.asarray(prepared.labels[:count]) if has_classes else None
    if not cluster.broadcast(folder.exists()):
        images = prepared.images[:count]
        features = real_features(cluster.strategy, extractor, images, batch_size)
        meta["dataset"] = prepared.summary
        statistics = dataclasses.replace(Moments.of(features).statistics(), meta=meta)
        if not cluster.decide(lambda: keep_features(folder, features, statistics)):
            return FeatureSet(features, None, labels, statistics)
    try:
        features = np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False)
        statistics = read_statistics(folder / "statistics.npz", "a file of features")
    except (OSError, ValueError, UsageError) as error:
        raise RunError(
            f"features in {folder} cannot be read; remove it to compute them again. "
            f"Received: {error}"
        ) from error
    return FeatureSet(features, None, labels, statistics)


def keep_features(folder: pathlib.Path, features: np.ndarray, statistics: Statistics) -> bool:
    """Writes features and their statistics to `folder`, all or nothing; returns whether it did."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(folder) as path:
            path.mkdir()
            np.save(path / "features.npy", features)
            statistics.write_npz(path / "statistics.npz")
    except OSError as error:
        if not folder.exists():  # Otherwise another process was faster, with the same numbers.
            say_line(f"note: features cannot be kept for the next command: {error}")
            return False
    return True
