"""Whether XLA compiles the steps of a run; `--jit_compile=auto` measures this on CPUs."""

import dataclasses
import hashlib
import json
import os
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import UsageError
from keras_sagan.files import write_atomically
from keras_sagan.progress import say_line
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.provenance import machine

# Remaining steps that justify a measurement, and timed steps in each mode.
WORTH, STEPS = 1000, 5
# Raised if XLA cannot compile the steps or runs out of memory. A lost worker raises other errors.
errors = tf.errors
UNABLE = errors.InvalidArgumentError, errors.ResourceExhaustedError, errors.UnimplementedError
# Minimum speedup to choose XLA; anything less is noise.
GAIN = 1.1
# Fields that change numbers but not how long a step takes.
UNTIMED = ("seed", "g_lr", "d_lr", "beta_1", "beta_2", "ema_decay", "ema_start", "loss")
UNTIMED += ("init_from",)
# A choice is a dict: `compiles` and, if measured, `ms_a_step`: milliseconds "off" and "on" (None if
# XLA cannot compile the steps). Records contain its keys.
Choice = dict[str, Any]


def compiles_by_default(jit_compile: str, communicates: bool = False) -> bool:
    """Whether XLA compiles the steps if nothing is measured.

    auto: on GPUs. On CPUs XLA's convolutions are often much slower than the runtime's own
    (tensorflow/tensorflow#62808), and where replicas communicate within a step it cannot compile.
    """
    if jit_compile != "auto":
        return jit_compile == "on"
    return bool(tf.config.list_physical_devices("GPU")) and not communicates


def replicas_communicate(sync_batch_norm: bool, jit_compile: str, replicas: int) -> bool:
    """Whether replicas communicate within a step.

    Raises:
        UsageError: if they do and XLA is to compile the steps.
    """
    communicates = sync_batch_norm and replicas > 1
    if communicates and jit_compile == "on":
        raise UsageError(
            "sync_batch_norm communicates, which XLA cannot compile here: use jit_compile=off. "
            f"Received: jit_compile=on, sync_batch_norm=true, {replicas} replicas"
        )
    return communicates


def choose_xla(
    config: Config, directory: RunDirectory, cluster: Cluster, time_step: Callable, steps_ahead: int
) -> Choice:
    """Whether XLA compiles this run. A run keeps its first choice, since the two round differently.

    With `jit_compile` auto on CPUs, if `steps_ahead` justify it, this reuses the choice of another
    run with the same settings, or measures. `time_step(compiled)` returns the seconds of a step,
    with XLA or without. Otherwise, `compiles_by_default` decides.
    """
    replicas = cluster.strategy.num_replicas_in_sync
    communicates = replicas_communicate(config.sync_batch_norm, config.jit_compile, replicas)
    gpus = tf.config.list_physical_devices("GPU")
    if config.jit_compile != "auto" or gpus or communicates:
        return {"compiles": compiles_by_default(config.jit_compile, communicates)}
    if choice := cluster.broadcast(cluster.run_on_chief(lambda: first_choice(directory))):
        return choice
    if steps_ahead < WORTH or config.total_minutes:
        return {"compiles": False}
    cache = cache_path(config, cluster)
    if choice := cluster.broadcast(cluster.run_on_chief(lambda: read_choice(cache))):
        return choice
    if cluster.is_chief:
        say_line("measuring whether XLA makes steps faster (--jit_compile=auto)")
    off, on = milliseconds(time_step, False), milliseconds(time_step, True)
    faster = on is not None and off > GAIN * on
    choice = cluster.broadcast({"compiles": faster, "ms_a_step": {"off": off, "on": on}})
    cluster.run_on_chief(lambda: keep_choice(choice, cache))
    return choice


def first_choice(directory: RunDirectory) -> Choice | None:
    """The choice of a run that has already started on a CPU, or None."""
    environment = directory.read_environment()
    if environment.get("device") != "CPU":
        return None
    return valid_choice(environment.get("xla")) or {"compiles": False}


def milliseconds(time_step: Callable[[bool], float], compiled: bool) -> float | None:
    """Milliseconds per step; None if XLA cannot compile it."""
    try:
        return 1000 * time_step(compiled)
    except UNABLE:
        if not compiled:
            raise
        return None


def median_seconds(run_step: Callable[[], Any]) -> float:
    """Median over `STEPS` calls of `run_step`, after a first one that compiles."""
    seconds = []
    for _ in range(1 + STEPS):
        begun = time.perf_counter()
        run_step()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[1:])


def cache_path(config: Config, cluster: Cluster) -> pathlib.Path:
    """The file of the choice, shared by all runs whose steps take equally long."""
    setting = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if not field.metadata["resumable"] and field.name not in UNTIMED
    }
    replicas = cluster.strategy.num_replicas_in_sync
    setting |= {"replicas": replicas, "processes": cluster.size}
    setting |= {"machine": machine(), "cpus": os.cpu_count(), "version": tf.__version__}
    name = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:16]
    return pathlib.Path(config.data_dir) / "compilation" / f"{name}.json"


def read_choice(path: pathlib.Path) -> Choice | None:
    """The choice in a file; None if there is no valid one."""
    try:
        return valid_choice(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return None


def valid_choice(choice: Any) -> Choice | None:
    """`choice` if it is valid, else None."""
    valid = isinstance(choice, dict) and isinstance(choice.get("compiles"), bool)
    return choice if valid else None


def keep_choice(choice: Choice, path: pathlib.Path) -> None:
    """Saves a choice for other runs, if possible, and tells the user."""
    verb = "does" if choice["compiles"] else "does not"
    with_xla, without = choice["ms_a_step"]["on"], choice["ms_a_step"]["off"]
    told = "cannot compile them" if with_xla is None else f"{with_xla:.1f} ms per step with it"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(choice) + "\n")
        place = f"kept in {path}"
    except OSError as error:
        place = f"not kept: {error}"
    say_line(f"it {verb}: {told}, {without:.1f} without; {place}")
