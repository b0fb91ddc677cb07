"""Features of the real images, computed once and kept beside the data."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np

from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError, UsageError
from keras_sagan.evaluation.fakes import real_features
from keras_sagan.evaluation.scores import FeatureSet
from keras_sagan.files import written_whole
from keras_sagan.metrics.moments import Moments, read_statistics

# Counts changes of what is kept, or of how it is computed.
VERSION = 1


def reference(strategy, extractor, prepared, data_dir, batch_size):
    """The real images' `FeatureSet`, with statistics, memory-mapped from `data_dir`.

    Args:
        strategy: `tf.distribute.Strategy`.
        extractor: `Extractor`.
        prepared: `Prepared`.
        data_dir: folder of data.
        batch_size: int, of the extraction on first use.

    Raises:
        RunError: if the folder cannot be written, or what is there cannot be read.
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
    cluster = Cluster(strategy)
    if not cluster.broadcast(folder.exists()):
        features = real_features(strategy, extractor, prepared.images[:count], batch_size)
        cluster.run_on_chief(lambda: write(folder, features, {**meta, "dataset": prepared.summary}))
    try:
        features = np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False)
        statistics = read_statistics(folder / "statistics.npz", "a file of features")
    except (OSError, ValueError, UsageError) as error:
        raise RunError(
            f"features in {folder} cannot be read; remove it to compute them again. "
            f"Received: {error}"
        ) from error
    return FeatureSet(features, None, np.asarray(prepared.labels[:count]), statistics)


def write(folder, features, meta):
    """All or nothing: a folder under another name, renamed at the end."""
    statistics = dataclasses.replace(Moments.of(features).statistics(), meta=meta)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(folder) as path:
            path.mkdir()
            np.save(path / "features.npy", features)
            statistics.write(path / "statistics.npz")
    except OSError as error:
        if not folder.exists():  # Else another process was faster, with the same numbers.
            raise RunError(f"features cannot be written to {folder}: {error}") from error
