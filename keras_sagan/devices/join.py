"""How the processes of a run on multiple hosts find each other."""

import contextlib
import faulthandler
import functools
import json
import os
import re
import signal
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from keras_sagan.devices.cluster import Cluster, task_addresses
from keras_sagan.devices.rendezvous import wait_for_all
from keras_sagan.errors import RunError, UsageError
from keras_sagan.progress import say_line
from keras_sagan.signals import handlers_restored

resolvers = tf.distribute.cluster_resolver
# Seconds that TensorFlow may take to join the processes once all are present.
JOINING = 60


class Place(NamedTuple):
    """A process's place in a cluster."""

    spec: tf.train.ClusterSpec  # Of jobs "chief" and "worker".
    job: str  # Of this process.
    task: int  # Index of this process in its job.


def find_place() -> Place:
    """This process's place in the cluster, from `TF_CONFIG` or else from Slurm's `srun`.

    Raises:
        UsageError: if their environment variables are missing or describe no cluster.
    """
    if "TF_CONFIG" in os.environ:
        source, read = f"TF_CONFIG={os.environ['TF_CONFIG']}", read_tf_config
    elif "SLURM_STEP_NODELIST" in os.environ:
        source, read = "the variables of Slurm", read_slurm
    else:
        raise UsageError(
            "strategy=multi_worker needs the variable TF_CONFIG, or those that Slurm's srun sets. "
            "Received: neither"
        )
    try:
        spec, job, task = place = read()
        spec.task_address(job, task)  # Raises if there is no such task.
        jobs = spec.as_dict()
        if not {"chief", "worker"}.issuperset(jobs) or len(jobs.get("chief", [])) > 1:
            raise ValueError(f"jobs {', '.join(jobs)}")
        for address in task_addresses(spec):
            int(address.rpartition(":")[2])
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        raise UsageError(
            "strategy=multi_worker needs the addresses of workers, and of one chief at most, and "
            f"which of them this process is. Received: {source} ({error})"
        ) from error
    return place


def check_tf_config(strategy: str) -> None:
    """Checks the variable `TF_CONFIG`, which TensorFlow reads under every strategy.

    Tells the user if it names other processes and `strategy` does not use them.

    Raises:
        UsageError: if TensorFlow cannot read it.
    """
    try:
        if not isinstance(json.loads(os.environ.get("TF_CONFIG", "{}")), dict):
            raise ValueError("no JSON object")
        processes = len(task_addresses(resolvers.TFConfigClusterResolver().cluster_spec()))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            "TF_CONFIG must be the JSON object of a cluster, or unset. "
            f"Received: TF_CONFIG={os.environ['TF_CONFIG']} ({error})"
        ) from error
    if processes > 1 and strategy != "multi_worker":
        say_line(
            f"note: this process works alone, although TF_CONFIG names {processes}; use "
            "--strategy=multi_worker to share the work"
        )


def read_tf_config() -> Place:
    """Reads the variable `TF_CONFIG` as TensorFlow does."""
    resolver = resolvers.TFConfigClusterResolver()
    return Place(resolver.cluster_spec(), resolver.task_type, resolver.task_id)


def read_slurm() -> Place:
    """Reads the variables of Slurm as TensorFlow does, but with tasks in Slurm's order."""
    # Below Linux's ephemeral ports, and different for each job, since jobs may share a host.
    base = 20_000 + int(os.environ.get("SLURM_JOB_ID", 0)) % 10_000
    # Without one "GPU" per task, it finds no ports. Slurm decides which GPUs a task really has.
    resolver = resolvers.SlurmClusterResolver(
        port_base=base,
        gpus_per_node=int(os.environ["SLURM_STEP_NUM_TASKS"]),
        gpus_per_task=1,
        auto_set_gpu=False,
    )
    spec = resolver.cluster_spec()
    # TensorFlow sorts n10 before n9; Slurm, which numbers the tasks, does not.
    tasks = sorted(spec.as_dict()["worker"], key=natural_order)
    return Place(tf.train.ClusterSpec({"worker": tasks}), *resolver.get_task_info())


def natural_order(text: str) -> list[int | str]:
    """A key that sorts n9 before n10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


@functools.lru_cache(maxsize=1)  # A process joins only once.
def join_cluster(gpus: int, seconds: int) -> Cluster:
    """The cluster of all workers, each with `gpus` devices or, for 0, its CPU.

    Raises:
        RunError: if the others do not appear within `seconds`, or cannot be joined.
    """
    spec, job, task = find_place()
    resolver = resolvers.SimpleClusterResolver(
        spec, task_type=job, task_id=task, num_accelerators={"GPU": gpus}, rpc_layer="grpc"
    )
    addresses = task_addresses(spec)
    wait_for_all(addresses, addresses.index(spec.task_address(job, task)), seconds)
    try:
        with time_limit(JOINING):
            return Cluster(tf.distribute.MultiWorkerMirroredStrategy(resolver))
    except tf.errors.OpError as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{job} {task} cannot join the others: {reason}") from error


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Ends the process with exit code 1 if the work inside takes longer.

    No other Python thread runs while TensorFlow joins, and TensorFlow handles SIGTERM itself.
    """
    say_line(f"all workers are here; joining, within {seconds} seconds")
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            with handlers_restored(signal.SIGTERM):
                yield
        finally:
            faulthandler.cancel_dump_traceback_later()
