"""The devices of a run: one `tf.distribute.Strategy`, whatever their number."""

import ctypes

import tensorflow as tf

from keras_sagan.devices.cluster import addresses
from keras_sagan.devices.join import find, join
from keras_sagan.errors import UsageError

# Devices that a CPU is divided into at most.
MOST_PARTS = 64
# Options of glibc's `mallopt`: no memory straight from the system, none given back below 2 GiB, and
# 64 MiB more than asked for.
MMAP_MAX, TRIM_THRESHOLD, TOP_PAD = (-4, 0), (-1, 2**31 - 1), (-2, 2**26)


def make_strategy(config):
    """A strategy over `config.replicas` devices: GPUs, or parts of the CPU where there are none.

    With `config.strategy` "multi_worker" over so many of each worker; then it waits for the others.
    Call it before anything else touches TensorFlow's devices.

    Raises:
        UsageError: if there are fewer GPUs, the batch does not divide by the replicas, or nothing
            says who the workers are.
    """
    gpus = tf.config.list_physical_devices("GPU")
    replicas = config.replicas or max(len(gpus), 1)
    workers = len(addresses(find()[0])) if config.strategy == "multi_worker" else 1
    check(config, replicas, workers, gpus)
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        keep_memory()
    if config.strategy == "multi_worker":
        return join(replicas if gpus else 0, config.join_seconds)
    if not gpus and replicas > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * replicas
        tf.config.set_logical_device_configuration(cpu, parts)
    kind = "GPU" if gpus else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(replicas)])


def keep_memory():
    """Lets this process keep what it frees, where the C library is glibc.

    Otherwise operations get their working memory from the system anew in each step, page by page:
    at 128 pixels 150 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        for option in (MMAP_MAX, TRIM_THRESHOLD, TOP_PAD):
            mallopt(*option)


def check(config, replicas, workers, gpus):
    """Whether `workers` can train with `replicas` each."""
    if gpus and replicas > len(gpus):
        raise UsageError(
            f"replicas must be at most {len(gpus)}, the GPUs here. Received: {replicas}"
        )
    if config.strategy == "multi_worker" and not gpus and replicas > 1:
        raise UsageError(
            "replicas must be 1 for each worker of strategy=multi_worker without GPUs. "
            f"Received: {replicas}"
        )
    if not gpus and replicas > MOST_PARTS:
        raise UsageError(
            f"replicas must be at most {MOST_PARTS} on a machine without GPUs. Received: {replicas}"
        )
    total = workers * replicas
    if config.batch_size % total:
        raise UsageError(
            f"batch_size must be a multiple of the replicas. Received: {config.batch_size} images "
            f"for {total} replicas"
        )
    if config.sync_batch_norm and total > 1 and config.jit_compile == "on":
        raise UsageError(
            "sync_batch_norm communicates, which XLA cannot compile here: use jit_compile=off. "
            f"Received: jit_compile=on, sync_batch_norm=true, {total} replicas"
        )


def device_name():
    """The first GPU's name, or CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    return details.get("device_name", "GPU") if gpus else "CPU"
