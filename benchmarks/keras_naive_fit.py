"""A run of `keras_naive`: its state, its training by `fit`, and its generator for scores."""

import dataclasses
import math
import time

import keras
import tensorflow as tf

from benchmarks import keras_naive
from keras_sagan.data.batches import shares
from keras_sagan.errors import RunError
from keras_sagan.runs.checkpoint_files import check_seal
from keras_sagan.runs.checkpoints import UNREADABLE, unreadable
from keras_sagan.training.run import save
from keras_sagan.training.state import State
from keras_sagan.training.xla import compiles


class AsNetwork:
    """A model of `keras_naive` with what commands use of a `networks.network.Network`.

    Its `stack` has the attention layers alone.

    Args:
        name: str.
        model: of `make_generator` or `make_discriminator`.
        function: of inputs, labels and `training`, which calls it.
        example_shape: shape of one input.
    """

    def __init__(self, name, model, function, example_shape):
        self.name, self.function, self.example_shape = name, function, example_shape
        self.variables, self.trainable_variables = model.variables, model.trainable_variables
        self.stack = [
            layer for layer in model.layers if isinstance(layer, keras_naive.SelfAttention)
        ]

    def __call__(self, inputs, labels, training=False):
        return self.function(inputs, labels, training=training)


def as_networks(gan):
    """Generator and discriminator of a `NaiveGan`, each `AsNetwork`."""
    config = gan.config
    size = (config.image_size, config.image_size, config.image_channels)
    return (
        AsNetwork("generator", gan.generator, gan.generate, (config.z_dim,)),
        AsNetwork("discriminator", gan.discriminator, gan.judge, size),
    )


@dataclasses.dataclass(frozen=True)
class NaiveState(State):
    """Every variable of a run of `gan`.

    Attributes:
        gan: `NaiveGan`. `ema_generator` is its generator, averaged in the context of `averaged`.
    """

    gan: keras_naive.NaiveGan

    @classmethod
    def create(cls, config):
        gan = keras_naive.make(config)
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
    """The steps that are left, by one call of `fit`."""
    start = int(state.step.numpy())
    if start == config.total_steps or records.is_out_of_time():
        return
    records.progress.say("compiling the first step")
    between = Between(config, state, checkpoints, records, preemption)
    state.gan.compile(
        jit_compile=compiles(config, strategy), steps_per_execution=steps_per_call(config, start)
    )
    state.gan.fit(
        shares(tf.distribute.InputContext(), prepared, config.batch_size, config.seed, start),
        steps_per_epoch=config.total_steps - start,
        verbose=0,
        shuffle=False,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=between.calls)],
    )


def steps_per_call(config, start):
    """The most that `fit`, whose calls are all of one length, may do between two stops."""
    stops = (config.log_every, config.sample_every, config.checkpoint_every)
    return math.gcd(config.steps_per_call, *stops, config.ema_start, config.total_steps, start)


class Between:
    """What happens between two calls of the runtime, as in `training.run.play_steps`.

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
        """After a call that ended with the `batch`-th step of this `fit`, counted from 0."""
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
    """As `training.state.load_generator`, of a checkpoint of `NaiveState`."""
    state = NaiveState.create(config)
    check_seal(path)
    try:
        state.checkpoint().restore(path).assert_consumed()
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if ema:
        state.g_optimizer.finalize_variable_values(state.gan.generator.trainable_variables)
    return state.generator, int(state.step.numpy())
