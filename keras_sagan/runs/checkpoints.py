"""Writes, lists, chooses and restores checkpoints of a run."""

import contextlib
import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.files import literal_path
from keras_sagan.runs.checkpoint_files import (
    check_seal,
    list_checkpoints,
    newest_checkpoint,
    read_partial_record,
    step_of,
    write_checkpoint,
)
from keras_sagan.values import CheckpointChoice

# What TensorFlow raises if a checkpoint is broken or has other networks.
UNREADABLE = (AssertionError, ValueError, IndexError, RuntimeError, tf.errors.OpError)


class Checkpointable(Protocol):
    """An object with a step, and with all its variables in one `tf.train.Checkpoint`."""

    @property
    def step(self) -> tf.Variable: ...

    def checkpoint(self) -> tf.train.Checkpoint: ...


@dataclasses.dataclass(frozen=True)
class Restored:
    """The result of a restore."""

    step: int  # Of the checkpoint; 0 if there is none.
    # Written with the checkpoint. Empty if there is none, and in processes other than the chief.
    partial_record: dict[str, Any] = dataclasses.field(default_factory=dict)
    # Newer checkpoints that could not be read; empty in other processes.
    warnings: list[str] = dataclasses.field(default_factory=list)
    # Without a checkpoint: lines for the user and a record of weights that the run started with.
    notes: list[str] = dataclasses.field(default_factory=list)
    source: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Reading:
    """A checkpoint that was read."""

    path: str
    value: Any  # What reading it returned.
    # Why newer checkpoints could not be read.
    failures: list[str] = dataclasses.field(default_factory=list)


class Checkpoints:
    """The checkpoints of one run directory: the newest `keep`, and the best by a score.

    Args:
        directory: the run's `checkpoints` folder.
        state: what is saved and restored.
        keep: how many of the newest checkpoints to keep.
        cluster: the `Cluster` that shares this state. None: this process alone.
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
        """Writes the present step; returns the path. For arguments, see `write_checkpoint`."""
        path = self.directory / f"step-{int(self.state.step.numpy())}"
        return write_checkpoint(self.checkpoint, path, self.keep, temporary_step, partial_record)

    def save_best(self) -> str:
        """Replaces the best checkpoint so far with the present step; returns the path."""
        path = self.directory / "best" / f"step-{int(self.state.step.numpy())}"
        return write_checkpoint(self.checkpoint, path, keep=1)

    def restore(self) -> Restored:
        """Restores the newest readable checkpoint, which the chief chooses for all processes.

        Raises:
            RunError: if there are checkpoints, but none is readable and fits the state.
        """
        found = self.cluster.run_on_chief(self.restore_newest, "reads the checkpoints")
        step = self.cluster.broadcast(found and found.step)
        if step and not self.cluster.is_chief:
            self.read(str(self.directory / f"step-{step}"))
        return found or Restored(step)

    def restore_newest(self) -> Restored:
        """Does what `restore` does, in this process alone."""
        if not list_checkpoints(self.directory):
            return Restored(int(self.state.step.numpy()))

        def read_with_record(path):
            self.read(path)
            return read_partial_record(path)

        found = read_newest(lambda: list_checkpoints(self.directory), read_with_record)
        warnings = [f"{failure}; resuming from {found.path}" for failure in found.failures]
        return Restored(step_of(found.path), found.value, warnings)

    def read(self, path: str) -> None:
        """Restores the checkpoint `path`, which must have every variable of the state.

        Raises:
            RunError: if it cannot be read or is of other networks.
        """
        with readable(path) as prefix:
            self.checkpoint.restore(prefix).assert_consumed()


def read_newest(list_paths: Callable[[], list[str]], read: Callable[[str], Any]) -> Reading:
    """Reads the newest readable checkpoint, also while training writes and removes checkpoints.

    Args:
        list_paths: function that returns the paths of all checkpoints, from old to new; at least
            one.
        read: function of a path that raises `RunError` if the checkpoint cannot be read.

    Raises:
        RunError: if none is readable.
    """
    failed: dict[str, RunError] = {}
    while left := [path for path in list_paths() if path not in failed]:
        try:
            value = read(left[-1])
        except RunError as error:
            failed[left[-1]] = error
        else:
            # Training may have removed what could not be read: then it is not damaged.
            damaged = [path for path in reversed(list_paths()) if path in failed]
            return Reading(left[-1], value, [str(failed[path]) for path in damaged])
    first, *others = failed.values()
    rest = f", nor can {len(others)} before it" if others else ""
    raise RunError(f"{first}{rest}") from first


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
    with readable(path) as prefix:
        checkpoint.restore(prefix).expect_partial().assert_existing_objects_matched()
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
        UsageError: if there is no checkpoint of a step that `choice` names.
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
        RunError: if a variable cannot be read or has a non-finite value.
    """
    total = hashlib.sha256()
    with readable(path) as prefix:
        reader = tf.train.load_checkpoint(prefix)
        values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    for name, value in sorted(values.items()):
        # Bookkeeping of the checkpoint itself, not of the run.
        if name == "_CHECKPOINTABLE_OBJECT_GRAPH" or name.startswith("save_counter/"):
            continue
        if not np.isfinite(value.astype(np.float64)).all():
            raise RunError(f"expected finite values in {path}. Received: {name}")
        total.update(f"{name} {value.shape} {value.dtype} ".encode())
        total.update(np.ascontiguousarray(value).tobytes())
    return total.hexdigest()


@contextlib.contextmanager
def readable(path: str) -> Iterator[str]:
    """Yields the checkpoint `path` as TensorFlow can read it.

    Raises:
        RunError: if its files have changed, or what is done with it fails.
    """
    check_seal(path)
    folder = literal = pathlib.Path(path).parent
    try:
        with literal_path(folder) as literal:
            yield str(literal / pathlib.Path(path).name)
    except (OSError, *UNREADABLE) as error:
        reason = reason_of(error).replace(f"{literal}/", f"{folder}/")
        raise RunError(f"checkpoint {path} cannot be read: {reason}") from error
