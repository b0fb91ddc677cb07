"""Checkpoints of a run: written, listed, chosen and restored."""

import dataclasses
import hashlib
import pathlib
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.runs.checkpoint_files import (
    check_seal,
    list_checkpoints,
    newest_checkpoint,
    read_partial_record,
    step_of,
    write_checkpoint,
)
from keras_sagan.values import CheckpointChoice

# What TensorFlow raises for checkpoints that are broken or of other networks.
UNREADABLE = (AssertionError, ValueError, IndexError, RuntimeError, tf.errors.OpError)


class Checkpointable(Protocol):
    """What has a step, and all its variables in one `tf.train.Checkpoint`."""

    @property
    def step(self) -> tf.Variable: ...

    def checkpoint(self) -> tf.train.Checkpoint: ...


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a restore found."""

    step: int  # Of the checkpoint; 0 without any.
    # Written with it; empty without, and in processes other than the chief.
    partial_record: dict[str, Any] = dataclasses.field(default_factory=dict)
    # Newer checkpoints that could not be read; empty in other processes.
    warnings: list[str] = dataclasses.field(default_factory=list)


class Checkpoints:
    """The checkpoints of one run directory: the newest `keep`, and the best by a score.

    Args:
        directory: the run's `checkpoints` folder.
        state: what is saved and restored.
        keep: how many of the newest stay.
        cluster: the `Cluster` that has this state. None: this process alone.
    """

    def __init__(
        self, directory: str | pathlib.Path, state: Checkpointable, keep: int, cluster=None
    ) -> None:
        self.directory, self.state, self.keep = pathlib.Path(directory), state, keep
        self.cluster = cluster or Cluster()
        self.checkpoint = state.checkpoint()
        # Reading it creates it: `restore` expects one, and `write` alone would not save it.
        self.checkpoint.save_counter  # noqa: B018

    def save(self, partial_record: dict | None = None, temporary_step: int | None = None) -> str:
        """Writes the present step; returns the path. Arguments as of `write_checkpoint`."""
        path = self.directory / f"step-{int(self.state.step.numpy())}"
        return write_checkpoint(self.checkpoint, path, self.keep, temporary_step, partial_record)

    def save_best(self) -> str:
        """Writes the present step in place of the best one so far; returns the path."""
        path = self.directory / "best" / f"step-{int(self.state.step.numpy())}"
        return write_checkpoint(self.checkpoint, path, keep=1)

    def restore(self) -> Restored:
        """Restores the newest checkpoint that can be read; the chief chooses it for all processes.

        Raises:
            RunError: if there are checkpoints, and none fits the state and can be read.
        """
        found = self.cluster.run_on_chief(self.restore_newest, "reads the checkpoints")
        step = self.cluster.broadcast(found and found.step)
        if step and not self.cluster.is_chief:
            self.read(str(self.directory / f"step-{step}"))
        return found or Restored(step)

    def restore_newest(self) -> Restored:
        """As `restore`, in this process alone."""
        failures = []
        for path in reversed(list_checkpoints(self.directory)):
            try:
                self.read(path)
                partial_record = read_partial_record(path)
            except RunError as error:
                failures.append(error)
            else:
                warnings = [f"{failure}; resuming from {path}" for failure in failures]
                return Restored(step_of(path), partial_record, warnings)
        if failures:
            others = f", nor can {len(failures) - 1} before it" if failures[1:] else ""
            raise RunError(f"{failures[0]}{others}")
        return Restored(int(self.state.step.numpy()))

    def read(self, path: str) -> None:
        """Restores the checkpoint `path`, which must have every variable of the state.

        Raises:
            RunError: if it cannot be read or is of other networks.
        """
        check_seal(path)
        try:
            self.checkpoint.restore(path).assert_consumed()
        except UNREADABLE as error:
            raise unreadable(path, error) from error


def load_generator(config: Config, path: str, ema: bool = True) -> tuple[keras.Model, int]:
    """The generator of a checkpoint, with averaged weights if `ema`, and its step.

    Raises:
        RunError: if the checkpoint cannot be read or has another network.
    """
    generator = networks.generator(config)
    return generator, restore_weights(generator, path, ema)


def restore_weights(generator: keras.Model, path: str, ema: bool = True) -> int:
    """Gives `generator` the weights of a checkpoint; returns the step. As `load_generator`."""
    return restore_networks(path, **{"ema_generator" if ema else "generator": generator})


def restore_networks(path: str, **named: keras.Model) -> int:
    """Gives networks, by their names in `State`, the weights of a checkpoint; returns the step.

    Raises:
        RunError: if the checkpoint cannot be read or has other networks.
    """
    step = tf.Variable(tf.constant(0, tf.int64))
    checkpoint = tf.train.Checkpoint(step=step, **named)
    check_seal(path)
    try:
        checkpoint.restore(path).expect_partial().assert_existing_objects_matched()
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    return int(step.numpy())


def all_checkpoints(directory: str | pathlib.Path) -> list[str]:
    """Paths of the checkpoints in `directory`: the best one first, then from old to new.

    Raises:
        RunError: if there is none.
    """
    directory = pathlib.Path(directory)
    newest_checkpoint(directory)
    return [*list_checkpoints(directory / "best"), *list_checkpoints(directory)]


def choose_checkpoints(directory: str | pathlib.Path, choice: CheckpointChoice) -> list[str]:
    """Paths of the checkpoints that `choice` names, each once, in the order of their steps.

    Raises:
        RunError: if there is no checkpoint.
        UsageError: if there is none of a step that `choice` names.
    """
    directory = pathlib.Path(directory)
    chosen = {}
    for part in choice.parts:
        if part == "newest":
            paths = [newest_checkpoint(directory)]
        elif part == "best":
            paths = [newest_checkpoint(directory / "best")]
        else:
            paths = all_checkpoints(directory)
        by_step = {step_of(path): path for path in paths}
        if isinstance(part, int):
            if part not in by_step:
                raise UsageError(
                    f"expected the step of a checkpoint, one of {sorted(by_step)}. Received: {part}"
                )
            by_step = {part: by_step[part]}
        chosen |= by_step
    return [chosen[step] for step in sorted(chosen)]


def digest(path: str) -> str:
    """SHA-256 over names, shapes, dtypes and bytes of all variables of a checkpoint.

    Raises:
        RunError: if a variable cannot be read or has a value that is not finite.
    """
    total = hashlib.sha256()
    check_seal(path)
    try:
        reader = tf.train.load_checkpoint(path)
        values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    for name, value in sorted(values.items()):
        # Bookkeeping of the checkpoint itself, not of the run.
        if name == "_CHECKPOINTABLE_OBJECT_GRAPH" or name.startswith("save_counter/"):
            continue
        if not np.isfinite(value.astype(np.float64)).all():
            raise RunError(f"expected finite values in {path}. Received: {name}")
        total.update(f"{name} {value.shape} {value.dtype} ".encode())
        total.update(np.ascontiguousarray(value).tobytes())
    return total.hexdigest()


def unreadable(path: str, error: Exception) -> RunError:
    """The error of a checkpoint that cannot be read."""
    return RunError(f"checkpoint {path} cannot be read: {reason_of(error)}")
