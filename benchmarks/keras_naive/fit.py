"""A run of `keras_naive`: its state, its training by `fit`, and its generator for evaluation."""

import dataclasses
import math
import time

import keras
import tensorflow as tf

from benchmarks.keras_naive.model import NaiveGan, make_gan
from benchmarks.keras_naive.stock_layers import NaiveSelfAttention
from keras_sagan.data.batches import shares
from keras_sagan.errors import RunError
from keras_sagan.runs.checkpoint_files import check_seal
from keras_sagan.runs.checkpoints import UNREADABLE, unreadable
from keras_sagan.training.run import save
from keras_sagan.training.state import State
from keras_sagan.training.xla import compiles


class NaiveNetwork:
    """A model of `keras_naive` with the interface of `networks.network.Network` that commands use.

    Its `stack` contains only the attention layers.

    Args:
        name: str.
        model: from `make_generator` or `make_discriminator`.
        function: calls the model with inputs, labels and `training`.
    """

    def __init__(self, name, model, function):
        self.name, self.function = name, function
        self.example_shape = model.inputs[0].shape[1:]
        self.variables, self.trainable_variables = model.variables, model.trainable_variables
        self.stack = [layer for layer in model.layers if isinstance(layer, NaiveSelfAttention)]

    def __call__(self, inputs, labels, training=False):
        return self.function(inputs, labels, training=training)


def as_networks(gan):
    """Generator and discriminator of a `NaiveGan`, each a `NaiveNetwork`."""
    return (
        NaiveNetwork("generator", gan.generator, gan.generate),
        NaiveNetwork("discriminator", gan.discriminator, gan.discriminate),
    )


@dataclasses.dataclass(frozen=True)
class NaiveState(State):
    """Every variable of a run.

    Attributes:
        gan: `NaiveGan`. `ema_generator` is its generator, averaged within `gan.averaged()`.
    """

    gan: NaiveGan

    @classmethod
    def create(cls, config):
        gan = make_gan(config)
        generator, discriminator = as_networks(gan)
        optimizers = gan.g_optimizer, gan.d_optimizer
        return cls(generator, discriminator, generator, *optimizers, optimizers[0].iterations, gan)

    def checkpoint(self):
        return tf.train.Checkpoint(
            generator=self.gan.generator,
            discriminator=self.gan.discriminator,
            g_optimizer=self.g_optimizer,
            d_optimizer=self.d_optimizer,
            seed=self.gan.seed_generator.state,
        )


def fit_steps(config, strategy, state, prepared, checkpoints, records, preemption):
    """Trains the remaining steps in one call of `fit`."""
    start = int(state.step.numpy())
    if start == config.total_steps or records.is_out_of_time():
        return
    records.progress.say("compiling the first step")
    between = Between(config, state, checkpoints, records, preemption)
    state.gan.compile(
        jit_compile=compiles(config, strategy), steps_per_execution=steps_per_call(config, start)
    )
    state.gan.fit(
        shares(tf.distribute.InputContext(), prepared, config, start),
        steps_per_epoch=config.total_steps - start,
        verbose=0,
        shuffle=False,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=between.calls)],
    )


def steps_per_call(config, start):
    """The most steps per call that meet every stop; the calls of `fit` are all equally long."""
    stops = (config.log_every, config.sample_every, config.checkpoint_every)
    return math.gcd(config.steps_per_call, *stops, config.ema_start, config.total_steps, start)


class Between:
    """The work between two calls of the runtime, as in `training.run.play_steps`.

    Args:
        config: `Config`.
        state: `NaiveState`.
        checkpoints: `Checkpoints`.
        records: `Records`.
        preemption: `Preemption`.
    """

    def __init__(self, config, state, checkpoints, records, preemption):
        self.config, self.state, self.preemption = config, state, preemption
        self.checkpoints, self.records = checkpoints, records
        self.start = self.step = int(state.step.numpy())
        self.begun = time.monotonic()

    def calls(self, batch, logs):
        """Runs after a call that ended with step `batch` of this `fit`, counted from 0."""
        losses = {name: float(loss) for name, loss in logs.items()}
        seconds = time.monotonic() - self.begun
        before, self.step = self.step, self.start + batch + 1
        if not all(map(math.isfinite, losses.values())):
            raise RunError(
                f"expected finite losses between steps {before} and {self.step}; "
                f"checkpoints are from before. Received: {losses}"
            )
        self.records.count(self.step, self.step - before, losses, seconds)
        if self.step <= self.config.ema_start:
            self.state.gan.restart_averages()
        last = self.step == self.config.total_steps or self.records.is_out_of_time()
        if last or self.step % self.config.sample_every == 0:
            with self.state.gan.averaged():
                self.records.write_samples(self.step)
        stopped = not last and self.preemption.asked()
        if last or stopped or self.step % self.config.checkpoint_every == 0:
            save(self.step, self.state, self.checkpoints, self.records, stopped)
        self.state.gan.stop_training = bool(last or stopped)
        self.begun = time.monotonic()


def load_generator(config, path, ema):
    """Like `runs.checkpoints.load_generator`, for a checkpoint of `NaiveState`."""
    state = NaiveState.create(config)
    check_seal(path)
    try:
        state.checkpoint().restore(path).assert_consumed()
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if ema:
        state.g_optimizer.finalize_variable_values(state.gan.generator.trainable_variables)
    return state.generator, int(state.step.numpy())
