"""What comes before a run trains: its processes, agreement on flags, and its data."""

import dataclasses
import pathlib

import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.prepared import Prepared
from keras_sagan.devices.cluster import Cluster
from keras_sagan.devices.strategy import count_replicas, make_cluster
from keras_sagan.errors import RunError, UsageError
from keras_sagan.runs.run_data import data_changes, open_run_data
from keras_sagan.training import xla
from keras_sagan.training.micro_batches import check_parts


def start_cluster(config: Config) -> Cluster:
    """The processes and devices of a run.

    Raises:
        UsageError: if they cannot compute its steps.
        RunError: if other workers do not appear.
    """
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    workers, replicas = count_replicas(config.strategy, config.replicas)
    check_parts(config.batch_size, workers * replicas, config.accumulate)
    xla.replicas_communicate(config.sync_batch_norm, config.jit_compile, workers * replicas)
    return make_cluster(config.strategy, config.replicas, config.batch_size, config.join_seconds)


def check_same_flags(config: Config, cluster: Cluster) -> None:
    """Raises a `UsageError` if processes have different flags."""
    own = dataclasses.asdict(config)
    chiefs = cluster.broadcast(own)
    differing = [f"{name}={own[name]}" for name in own if own[name] != chiefs[name]]
    if cluster.any_process([bool(differing)])[0]:
        received = ", ".join(differing) or "others in another worker"
        raise UsageError(f"workers need the flags of their chief. Received: {received}")


def prepare_together(config, directory, cluster, allowed) -> tuple[Prepared, list[str]]:
    """The run's data and, on the chief, the changes to its configuration.

    Raises:
        UsageError: if `config` cannot resume in `directory`.
        RunError: if the data cannot be read.
    """

    def prepare_for_run():
        # Before the slow preparation of the data, and again when their classes are known. For
        # the user's own images, the content decides, not the path.
        may_change = [*allowed, *(["dataset"] if config.image_set.dataset.is_own else [])]
        directory.check_config(config, may_change)
        prepared = open_run_data(directory, config, renew="dataset" in allowed)
        config_of_data = config.with_data_classes(prepared.num_classes)
        changes = directory.check_config(config_of_data, may_change)
        return prepared, changes + data_changes(directory, prepared)

    prepared, changes = cluster.run_on_chief(prepare_for_run, "prepares the data") or (None, [])
    folder = pathlib.Path(cluster.broadcast(prepared and str(prepared.directory)))
    if not folder.exists():
        raise RunError(f"data_dir must be a folder that all workers share. Received: no {folder}")
    return prepared or Prepared(folder), changes
