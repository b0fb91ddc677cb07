"""The devices of a run: one strategy for any number of them, in one process or in many."""

import ctypes

import tensorflow as tf

from keras_sagan.devices.cluster import Cluster, task_addresses
from keras_sagan.devices.join import find_place, join_cluster
from keras_sagan.errors import UsageError

# Devices that a CPU is divided into at most.
MOST_PARTS = 64
# Options of glibc's `mallopt`: no memory straight from the system, none given back below 2 GiB, and
# 64 MiB more than asked for.
MMAP_MAX, TRIM_THRESHOLD, TOP_PAD = (-4, 0), (-1, 2**31 - 1), (-2, 2**26)


def make_cluster(
    strategy: str = "mirrored", replicas: int = 0, batch_size: int = 1, join_seconds: int = 600
) -> Cluster:
    """The processes and devices of a run, under one `tf.distribute.Strategy`.

    Call it before anything else touches TensorFlow's devices.

    Args:
        strategy: "mirrored", in this process, or "multi_worker"; then it waits for the others.
        replicas: devices in each process, GPUs or parts of the CPU where there are none; 0: every
            GPU, or the CPU.
        batch_size: images, which the replicas must be able to share evenly.
        join_seconds: longest wait for other workers.

    Raises:
        UsageError: if there are fewer GPUs, the batch does not divide by the replicas, or nothing
            names the workers.
        RunError: if other workers do not come.
    """
    gpus = tf.config.list_physical_devices("GPU")
    is_multi_worker = strategy == "multi_worker"
    replicas = replicas or max(len(gpus), 1)
    check_replicas(replicas, len(gpus), is_multi_worker)
    workers = len(task_addresses(find_place().spec)) if is_multi_worker else 1
    if batch_size % (workers * replicas):
        raise UsageError(
            f"batch_size must be a multiple of the replicas. Received: {batch_size} images "
            f"for {workers * replicas} replicas"
        )
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        keep_memory()
    if is_multi_worker:
        return join_cluster(replicas if gpus else 0, join_seconds)
    if not gpus and replicas > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * replicas
        tf.config.set_logical_device_configuration(cpu, parts)
    kind = "GPU" if gpus else "CPU"
    return Cluster(tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(replicas)]))


def check_replicas(replicas: int, gpus: int, is_multi_worker: bool) -> None:
    """Whether each process can have so many; raises `UsageError` if not."""
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


def keep_memory() -> None:
    """Lets this process keep the memory it frees, where the C library is glibc.

    Otherwise operations get their working memory from the system anew in each step, page by page:
    at 128 pixels 150 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        for option in (MMAP_MAX, TRIM_THRESHOLD, TOP_PAD):
            mallopt(*option)


def device_name() -> str:
    """The first GPU's name, or CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    return details.get("device_name", "GPU") if gpus else "CPU"
