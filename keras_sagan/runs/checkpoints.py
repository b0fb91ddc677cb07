"""Checkpoints of a run: written, listed, chosen and restored."""

import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from keras_sagan import networks
from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.runs.checkpoint_files import (
    check_seal,
    kept,
    latest,
    read_counted,
    step_of,
    write,
)
from keras_sagan.values import CheckpointChoice

# What TensorFlow raises for checkpoints that are broken or of other networks.
UNREADABLE = (AssertionError, ValueError, IndexError, RuntimeError, tf.errors.OpError)


class Checkpoints:
    """The checkpoints of one run directory: the newest `keep`, and the best by a score.

    Args:
        directory: path of the run's `checkpoints` folder.
        state: `State`.
        keep: int, how many of the newest stay.
        cluster: `Cluster` of the processes that have this state.

    Attributes:
        passing: the step of a checkpoint that goes when the next is saved, or None: where a signal
            stopped the run, between the steps of its other checkpoints.
        counted: dict that was saved with the checkpoint that `restore` has read; empty without.
        warnings: list of str, what `restore` could not read.
    """

    def __init__(self, directory, state, keep, cluster=None):
        self.directory, self.state, self.keep = pathlib.Path(directory), state, keep
        self.cluster = cluster or Cluster()
        self.checkpoint, self.passing = state.checkpoint(), None
        self.counted, self.warnings = {}, []
        # To ask for it makes it: `restore` wants one, and `write` alone would not save it.
        self.checkpoint.save_counter  # noqa: B018

    def save(self, counted=None):
        """Writes the present step, and a dict beside its variables; returns the path."""
        step = int(self.state.step.numpy())
        path = write(self.checkpoint, self.directory, step, self.keep, self.passing, counted)
        self.passing = None
        return path

    def save_best(self):
        """Writes the present step in place of the best one so far; returns the path."""
        step = int(self.state.step.numpy())
        return write(
            self.checkpoint, self.directory / "best", step, keep=1, passing=None, counted=None
        )

    def restore(self):
        """Goes on from the newest checkpoint that can be read; returns the step, 0 without any.

        The chief chooses, and the others read the same.

        Raises:
            RunError: if there are checkpoints, and none fits the state and can be read.
        """
        step = self.cluster.word(self.cluster.chief(self.restore_newest, "reads the checkpoints"))
        if step is not None and not self.cluster.is_chief:
            self.read(str(self.directory / f"step-{step}"))
        return int(self.state.step.numpy())

    def restore_newest(self):
        """Reads the newest checkpoint that can be read; returns its step, or None without any."""
        failures = []
        for path in reversed(kept(self.directory)):
            try:
                self.read(path)
                self.counted = read_counted(path)
            except RunError as error:
                failures.append(error)
            else:
                self.warnings = [f"{failure}; going on from {path}" for failure in failures]
                return step_of(path)
        if failures:
            others = f", nor can {len(failures) - 1} before it" if failures[1:] else ""
            raise RunError(f"{failures[0]}{others}")
        return None

    def read(self, path):
        check_seal(path)
        try:
            self.checkpoint.restore(path).assert_consumed()
        except UNREADABLE as error:
            raise unreadable(path, error) from error


def restore_generator(config, directory, ema=True):
    """The generator of the newest checkpoint in `directory`, and its step: `load_generator`."""
    return load_generator(config, latest(directory), ema)


def load_generator(config, path, ema=True):
    """The generator of a checkpoint, and its step.

    Args:
        config: `Config` of the run.
        path: of the checkpoint.
        ema: bool, whether to take the averaged weights.

    Raises:
        RunError: if the checkpoint cannot be read or has another network.
    """
    generator = networks.generator(config)
    return generator, read_weights(generator, path, ema)


def read_weights(generator, path, ema=True):
    """Gives `generator` the weights of a checkpoint; returns the step. As `load_generator`."""
    return read_networks(path, **{"ema_generator" if ema else "generator": generator})


def read_networks(path, **named):
    """Gives networks, by their names in `State`, the weights of a checkpoint; returns the step.

    Raises:
        RunError: if the checkpoint cannot be read or has other networks.
    """
    step = tf.Variable(0, dtype=tf.int64)
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
    latest(directory)
    directory = pathlib.Path(directory)
    return [*kept(directory / "best"), *kept(directory)]


def choose_checkpoints(directory: str | pathlib.Path, choice: CheckpointChoice) -> list[str]:
    """Paths of the checkpoints that `choice` names, each once, in the order of their steps.

    Raises:
        RunError: if there is no checkpoint.
        UsageError: if there is none of a step that `choice` names.
    """
    chosen = {}
    for part in choice.parts:
        if part == "newest":
            paths = [latest(directory)]
        elif part == "best":
            paths = [latest(pathlib.Path(directory) / "best")]
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


def digest(path):
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


def unreadable(path, error):
    return RunError(f"checkpoint {path} cannot be read: {reason_of(error)}")
