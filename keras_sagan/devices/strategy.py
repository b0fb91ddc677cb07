"""The devices of a run: one strategy for any number of them, in one or more processes."""

import ctypes

import tensorflow as tf

from keras_sagan.devices.cluster import Cluster, task_addresses
from keras_sagan.devices.join import check_tf_config, find_place, join_cluster
from keras_sagan.errors import UsageError

# Maximum number of devices that a CPU is divided into.
MOST_PARTS = 64
# Options of glibc's `mallopt`: never map memory directly, return only what exceeds 2 GiB, and
# request 64 MiB more than needed.
MMAP_MAX, TRIM_THRESHOLD, TOP_PAD = (-4, 0), (-1, 2**31 - 1), (-2, 2**26)


def make_cluster(
    strategy: str = "mirrored", replicas: int = 0, batch_size: int = 1, join_seconds: int = 600
) -> Cluster:
    """The processes and devices of a run, under one `tf.distribute.Strategy`.

    Call it before anything else touches TensorFlow's devices.

    Args:
        strategy: "mirrored", in this process, or "multi_worker", which waits for the others.
        replicas: devices in each process: GPUs or, without GPUs, parts of the CPU. 0: every GPU,
            or the CPU.
        batch_size: number of images, which must divide evenly among the replicas.
        join_seconds: longest wait for other workers.

    Raises:
        UsageError: if there are fewer GPUs, the replicas do not divide the batch, or nothing names
            the workers.
        RunError: if other workers do not appear.
    """
    gpus = tf.config.list_physical_devices("GPU")
    workers, replicas = count_replicas(strategy, replicas)
    if batch_size % (workers * replicas):
        raise UsageError(
            f"batch_size must be a multiple of the replicas. Received: {batch_size} images "
            f"for {workers * replicas} replicas"
        )
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        keep_memory()
    check_tf_config(strategy)
    if strategy == "multi_worker":
        return join_cluster(replicas if gpus else 0, join_seconds)
    if not gpus and replicas > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * replicas
        tf.config.set_logical_device_configuration(cpu, parts)
    kind = "GPU" if gpus else "CPU"
    return Cluster(tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(replicas)]))


def count_replicas(strategy: str, replicas: int) -> tuple[int, int]:
    """Processes of a run, and replicas of each; arguments and errors as of `make_cluster`."""
    gpus, is_multi_worker = len(tf.config.list_physical_devices("GPU")), strategy == "multi_worker"
    replicas = replicas or max(gpus, 1)
    if gpus and replicas > gpus:
        raise UsageError(f"replicas must be at most {gpus}, the GPUs here. Received: {replicas}")
    if is_multi_worker and not gpus and replicas > 1:
        raise UsageError(
            "replicas must be 1 for each worker of strategy=multi_worker without GPUs. "
            f"Received: {replicas}"
        )
    if not gpus and replicas > MOST_PARTS:
        raise UsageError(
            f"replicas must be at most {MOST_PARTS} on a machine without GPUs. Received: {replicas}"
        )
    workers = len(task_addresses(find_place().spec)) if is_multi_worker else 1
    return workers, replicas


def keep_memory() -> None:
    """Lets this process keep the memory it frees, if the C library is glibc.

    Otherwise, operations request their working memory from the system again in each step, page by
    page: 150 MB at 128 pixels.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        for option in (MMAP_MAX, TRIM_THRESHOLD, TOP_PAD):
            mallopt(*option)


def device_name() -> str:
    """The name of the first GPU, or "CPU"."""
    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    return details.get("device_name", "GPU") if gpus else "CPU"
