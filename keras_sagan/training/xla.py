"""Whether XLA compiles the steps of a run, which for `--jit_compile=auto` on CPUs is measured."""

import dataclasses
import hashlib
import json
import os
import pathlib
import statistics
import sys
import time

import tensorflow as tf

from keras_sagan.data.batches import make_iterator
from keras_sagan.devices.cluster import Cluster
from keras_sagan.files import write_atomically
from keras_sagan.runs.provenance import machine
from keras_sagan.training.game import Game
from keras_sagan.training.loop import make_train

# Steps ahead that make up for a measurement, and timed steps each way.
WORTH, STEPS = 1000, 5
OFF_ON = (False, True)
# What TensorFlow raises for what XLA cannot compile or hold. A lost worker raises other errors.
UNABLE = (
    tf.errors.InvalidArgumentError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnimplementedError,
)
# How many times as fast XLA must be; less is noise.
GAIN = 1.1
# Fields that change numbers but not how long a step takes.
UNTIMED = ("seed", "g_lr", "d_lr", "beta_1", "beta_2", "ema_decay", "ema_start", "loss")


def compiles(config, strategy):
    """Whether XLA compiles the two steps, where nothing is measured.

    auto: on GPUs. On CPUs XLA's convolutions are often much slower than the runtime's own
    (tensorflow/tensorflow#62808), and where replicas communicate it cannot compile.
    """
    if config.jit_compile != "auto":
        return config.jit_compile == "on"
    return bool(tf.config.list_physical_devices("GPU")) and not communicates(config, strategy)


def communicates(config, strategy):
    return config.sync_batch_norm and strategy.num_replicas_in_sync > 1


def choose(config, run, strategy, create, prepared, steps_ahead):
    """What a run goes by. A run keeps what it began with, since the two round differently.

    With `jit_compile` auto on CPUs, if `steps_ahead` are worth it: the choice of another run of the
    same setting, or a measurement. Otherwise `compiles`.

    Args:
        config: `Config`.
        run: `RunDirectory`.
        strategy: `tf.distribute.Strategy`.
        create: function of strategy and config to a fresh `State`, to measure with.
        prepared: `Prepared`.
        steps_ahead: int.

    Returns:
        dict that JSON can hold: `compiles`, bool, and if measured `ms_a_step`, milliseconds "off"
        and "on", this None if XLA cannot compile them.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if config.jit_compile != "auto" or gpus or communicates(config, strategy):
        return {"compiles": compiles(config, strategy)}
    cluster = Cluster(strategy)
    choice = cluster.word(cluster.chief(lambda: begun_with(run)))
    if choice:
        return choice
    if steps_ahead < WORTH or config.total_minutes:
        return {"compiles": False}
    cache = cache_path(config, strategy, cluster)
    choice = cluster.word(cluster.chief(lambda: read(cache)))
    if choice:
        return choice
    if cluster.is_chief:
        sys.stderr.write("measuring whether XLA makes steps faster (--jit_compile=auto)\n")
    off, on = (milliseconds(config, strategy, create, prepared, compiled) for compiled in OFF_ON)
    faster = on is not None and off > GAIN * on
    choice = cluster.word({"compiles": faster, "ms_a_step": {"off": off, "on": on}})
    cluster.chief(lambda: keep(choice, cache))
    return choice


def begun_with(run):
    """The choice of a run that has been started on a CPU; None before."""
    environment = run.read_environment()
    if environment.get("device") != "CPU":
        return None
    return valid(environment.get("xla")) or {"compiles": False}


def milliseconds(config, strategy, create, prepared, compiled):
    """Of a step; None if XLA cannot compile it."""
    try:
        return 1000 * seconds_a_step(config, strategy, create, prepared, compiled)
    except UNABLE:
        if not compiled:
            raise
        return None


def seconds_a_step(config, strategy, create, prepared, compiled):
    """Median over `STEPS` steps of a game that is thrown away."""
    state = create(strategy, config)
    train = make_train(strategy, Game(config, state, prepared.record["counts"], compiled))
    iterator = make_iterator(strategy, prepared, config.batch_size, config.seed, 0)
    seconds = []
    for _ in range(1 + STEPS):  # The first one compiles.
        begun = time.perf_counter()
        numbers, _ = train(iterator, state.step, tf.constant(1))
        numbers["g_loss"].numpy()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[1:])


def cache_path(config, strategy, cluster):
    """Where choices are kept for all runs whose steps take as long."""
    setting = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if not field.metadata["resumable"] and field.name not in UNTIMED
    }
    setting |= {"replicas": strategy.num_replicas_in_sync, "processes": cluster.size}
    setting |= {"machine": machine(), "cpus": os.cpu_count(), "version": tf.__version__}
    name = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:16]
    return pathlib.Path(config.data_dir) / "compilation" / f"{name}.json"


def read(path):
    """The choice in a file; None without a good one."""
    try:
        return valid(json.loads(path.read_text()))
    except (OSError, ValueError):
        return None


def valid(choice):
    good = isinstance(choice, dict) and isinstance(choice.get("compiles"), bool)
    return choice if good else None


def keep(choice, path):
    """For other runs: this one goes on where it cannot be kept, as beside read-only data."""
    words = "does" if choice["compiles"] else "does not"
    with_xla, without = choice["ms_a_step"]["on"], choice["ms_a_step"]["off"]
    told = "cannot compile them" if with_xla is None else f"{with_xla:.1f} ms a step with it"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(choice) + "\n")
        place = f"kept in {path}"
    except OSError as error:
        place = f"not kept: {error}"
    sys.stderr.write(f"it {words}: {told}, {without:.1f} without; {place}\n")
