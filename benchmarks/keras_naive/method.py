"""How `keras_naive` is trained: its state, the function of `fit`, and its generator to score."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from benchmarks.keras_naive.model import NaiveGan, make_gan
from benchmarks.keras_naive.stock_layers import NaiveSelfAttention
from keras_sagan.data.batches import shares
from keras_sagan.runs.checkpoints import readable
from keras_sagan.sampling.sampler import make_sampler
from keras_sagan.training import health
from keras_sagan.training.session import Method
from keras_sagan.training.state import State


class NaiveNetwork:
    """A model of `keras_naive` with the interface of `networks.network.Network` that commands use.

    Its `stack` contains only the attention layers. `function` calls `model`, of `make_generator` or
    `make_discriminator`, with inputs, labels and `training`. It ignores `advance_u`: stock layers
    store their power iterations in every training call.
    """

    def __init__(self, name, model, function):
        self.name, self.function = name, function
        self.example_shape = model.inputs[0].shape[1:]
        self.variables, self.trainable_variables = model.variables, model.trainable_variables
        self.stack = [layer for layer in model.layers if isinstance(layer, NaiveSelfAttention)]

    def __call__(self, inputs, labels, training=False, advance_u=None):
        return self.function(inputs, labels, training=training)


def as_networks(gan):
    """Generator and discriminator of a `NaiveGan`, each a `NaiveNetwork`."""
    generator = NaiveNetwork("generator", gan.generator, gan.generate)
    return generator, NaiveNetwork("discriminator", gan.discriminator, gan.discriminate)


@dataclasses.dataclass(frozen=True)
class NaiveState(State):
    """Every variable of a run."""

    gan: NaiveGan  # `ema_generator` is its generator, averaged within `gan.averaged()`.

    @classmethod
    def create(cls, config):
        gan = make_gan(config)
        generator, discriminator = as_networks(gan)
        optimizers = gan.g_optimizer, gan.d_optimizer
        return cls(
            generator, discriminator, generator, *optimizers, optimizers[0].iterations, {}, gan
        )

    def make_sampler(self):
        sample = make_sampler(self.ema_generator)

        def sample_averaged(latents, labels):
            with self.gan.averaged():
                return sample(latents, labels)

        return sample_averaged

    def checkpoint(self):
        return tf.train.Checkpoint(
            generator=self.gan.generator,
            discriminator=self.gan.discriminator,
            g_optimizer=self.g_optimizer,
            d_optimizer=self.d_optimizer,
            seed=self.gan.seed_generator.state,
        )


def make_naive_call(training):
    """What `Trainer` calls: the function that `fit` itself runs, from the present step on."""
    config, gan, step = training.config, training.state.gan, training.state.step
    start = int(step.numpy())
    # The most steps that meet every stop: calls of `fit` are all equally long.
    stops = (config.log_every, config.sample_every, config.checkpoint_every, config.ema_start)
    length = math.gcd(config.steps_per_call, *stops, config.total_steps, start)
    gan.compile(jit_compile=training.compiled, steps_per_execution=length)
    gan.make_train_function()
    context = tf.distribute.InputContext()
    iterator = iter(shares(context, training.prepared, config.batch_size, config.seed, start))

    def call(num_steps):
        logs = [gan.train_function(iterator) for _ in range(num_steps // length)]
        losses = {name: float(np.mean([each[name] for each in logs])) for name in health.LOSSES}
        done = int(step.numpy())
        if done <= config.ema_start:
            gan.restart_averages()
        finite = [math.isfinite(losses[name]) for name in health.LOSSES]
        return losses, [health.NEVER if good else done for good in finite]

    return call


# Not in the strategy's scope, where `fit` would train over replicas.
NAIVE = Method(
    create_state=lambda strategy, config: NaiveState.create(config),
    make_train_call=make_naive_call,
    measures_xla=False,
    keeps_best=False,
)


def load_generator(config, path, ema):
    """Like `runs.checkpoints.load_generator`, for a checkpoint of `NaiveState`."""
    state = NaiveState.create(config)
    with readable(path) as prefix:
        state.checkpoint().restore(prefix).assert_consumed()
    if ema:
        state.g_optimizer.finalize_variable_values(state.gan.generator.trainable_variables)
    return state.generator, int(state.step.numpy())
