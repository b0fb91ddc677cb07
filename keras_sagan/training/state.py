"""What a run is made of at a step: networks, optimizers, checkpoints and their digest."""

import dataclasses
import hashlib
import pathlib

import keras
import numpy as np
import tensorflow as tf

from keras_sagan import networks
from keras_sagan.errors import RunError, UsageError

# What TensorFlow raises for checkpoints that are broken or of other networks.
UNREADABLE = (AssertionError, ValueError, IndexError, RuntimeError, tf.errors.OpError)


@dataclasses.dataclass(frozen=True)
class State:
    """Every variable of a run. Make it in the strategy's scope.

    Attributes:
        generator, discriminator, ema_generator: networks.
        g_optimizer, d_optimizer: Keras optimizers, built.
        step: int64 `tf.Variable`, generator updates done.
    """

    generator: keras.Model
    discriminator: keras.Model
    ema_generator: keras.Model
    g_optimizer: keras.Optimizer
    d_optimizer: keras.Optimizer
    step: tf.Variable

    @classmethod
    def create(cls, config):
        """Fresh networks and optimizers; equal for equal `config.seed`."""
        keras.utils.set_random_seed(config.seed % 2**32)
        generator = networks.generator(config)
        discriminator = networks.discriminator(config)
        ema_generator = networks.generator(config)
        ema_generator.set_weights(generator.get_weights())
        g_optimizer, d_optimizer = (adam(config, rate) for rate in (config.g_lr, config.d_lr))
        g_optimizer.build(generator.trainable_variables)
        d_optimizer.build(discriminator.trainable_variables)
        step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        return cls(generator, discriminator, ema_generator, g_optimizer, d_optimizer, step)

    def checkpoint(self):
        """All of it as one `tf.train.Checkpoint`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return tf.train.Checkpoint(**fields)

    def check_finite(self):
        """Losses are those before an update: the update itself may have been the bad one.

        Raises:
            RunError: if a weight or another variable of a network is not finite.
        """
        for network in (self.generator, self.discriminator, self.ema_generator):
            for variable in network.variables:
                if not np.isfinite(variable.numpy()).all():
                    raise RunError(
                        f"expected finite weights at step {int(self.step.numpy())}; checkpoints "
                        f"are from before. Received: {network.name}/{variable.path}"
                    )


def adam(config, learning_rate):
    """Adam with the epsilon of the released code and of the paper's other implementations."""
    return keras.optimizers.Adam(learning_rate, config.beta_1, config.beta_2, epsilon=1e-8)


class Checkpoints:
    """The checkpoints of one run directory: the newest `keep`, and the best by a score.

    Args:
        directory: path of the run's `checkpoints` folder.
        state: `State`.
        keep: int, how many of the newest stay.

    Raises:
        RunError: if the folder holds files that are no checkpoints.
    """

    def __init__(self, directory, state, keep):
        self.state = state
        self.checkpoint = state.checkpoint()
        self.newest = self.manager(pathlib.Path(directory), keep)
        self.best = self.manager(pathlib.Path(directory) / "best", 1)

    def manager(self, directory, keep):
        """Names checkpoints by step; makes their list anew where a kill or a hand has lost it."""
        paths = [path.with_suffix("") for path in directory.glob("step-*.index")]
        paths = [str(path) for path in sorted(paths, key=lambda path: int(path.name[5:]))]
        try:
            if paths and not tf.train.latest_checkpoint(str(directory)):
                tf.compat.v1.train.update_checkpoint_state(str(directory), paths[-1], paths)
            return tf.train.CheckpointManager(
                self.checkpoint, str(directory), keep, checkpoint_name="step"
            )
        except UNREADABLE as error:
            raise unreadable(directory, error) from error

    def save(self):
        """Writes the present step; returns the path."""
        return self.newest.save(checkpoint_number=self.state.step.numpy())

    def save_best(self):
        """Writes the present step in place of the best one so far; returns the path."""
        return self.best.save(checkpoint_number=self.state.step.numpy())

    def restore(self):
        """Goes on from the newest checkpoint, if there is one; returns the step.

        Raises:
            RunError: if the newest checkpoint does not fit the state or cannot be read.
        """
        path = self.newest.latest_checkpoint
        if path:
            try:
                self.checkpoint.restore(path).assert_consumed()
            except UNREADABLE as error:
                raise unreadable(path, error) from error
        return int(self.state.step.numpy())


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
    step = tf.Variable(0, dtype=tf.int64)
    name = "ema_generator" if ema else "generator"
    checkpoint = tf.train.Checkpoint(step=step, **{name: generator})
    try:
        checkpoint.restore(path).expect_partial().assert_existing_objects_matched()
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    return int(step.numpy())


def latest(directory):
    """Path of the newest checkpoint in `directory`.

    Raises:
        RunError: if there is none.
    """
    path = tf.train.latest_checkpoint(str(directory))
    if path is None:
        raise RunError(f"expected a checkpoint and its list. Received: none in {directory}")
    return path


def all_checkpoints(directory):
    """Paths of the checkpoints in `directory`, the best first, then from old to new.

    Raises:
        RunError: if there is none.
    """
    newest = latest(directory)
    best = tf.train.latest_checkpoint(str(pathlib.Path(directory) / "best"))
    kept = tf.train.get_checkpoint_state(str(directory)).all_model_checkpoint_paths
    return [*([best] if best else []), *(path for path in kept if path != newest), newest]


def chosen_checkpoints(directory, choice):
    """Paths of the checkpoints that `choice` names, in the order of their steps.

    Raises:
        UsageError: if there is none of that step.
    """
    if choice == "newest":
        return [latest(directory)]
    if choice == "best":
        return [latest(pathlib.Path(directory) / "best")]
    by_step = {step_of(path): path for path in all_checkpoints(directory)}
    if choice == "all":
        return [by_step[step] for step in sorted(by_step)]
    if int(choice) not in by_step:
        raise UsageError(
            f"expected the step of a kept checkpoint, one of {sorted(by_step)}. "
            f"Received: --checkpoint={choice}"
        )
    return [by_step[int(choice)]]


def step_of(path):
    return int(pathlib.Path(path).name.rpartition("-")[2])


def digest(path):
    """SHA-256 over names, shapes, dtypes and bytes of all variables of a checkpoint.

    Raises:
        RunError: if a variable cannot be read or has a value that is not finite.
    """
    total = hashlib.sha256()
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
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return RunError(f"checkpoint {path} cannot be read: {reason}")
