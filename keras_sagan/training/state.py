"""The state of a run at a step: networks and optimizers."""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.errors import NotFinite
from keras_sagan.sampling.sampler import Sampler, make_sampler
from keras_sagan.training.adam import Adam
from keras_sagan.training.adaptation import make_adaptive


@dataclasses.dataclass(frozen=True)
class State:
    """Every variable of a run. Create it in the strategy's scope."""

    generator: keras.Model
    discriminator: keras.Model
    ema_generator: keras.Model
    g_optimizer: keras.Optimizer  # Built, like the other one.
    d_optimizer: keras.Optimizer
    step: tf.Variable  # int64, generator updates done.
    adaptive: dict[str, tf.Variable]  # Of `make_adaptive`; most runs have none.

    @classmethod
    def create(cls, config: Config) -> "State":
        """Fresh networks and optimizers; equal for equal `config.seed`."""
        keras.utils.set_random_seed(config.seed % 2**32)
        generator = networks.generator(config)
        discriminator = networks.discriminator(config)
        ema_generator = networks.generator(config)
        ema_generator.set_weights(generator.get_weights())
        adam = functools.partial(
            Adam,
            beta_1=config.beta_1,
            beta_2=config.beta_2,
            epsilon=1e-8,  # As in the released code and in the paper's other implementations.
            decay=config.lr_decay,
        )
        g_updates, d_updates = config.lr_decay_steps, config.lr_decay_steps * config.d_steps
        g_optimizer = adam(config.g_lr, name="g_optimizer", decay_steps=g_updates)
        d_optimizer = adam(config.d_lr, name="d_optimizer", decay_steps=d_updates)
        g_optimizer.build(generator.trainable_variables)
        d_optimizer.build(discriminator.trainable_variables)
        step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        made = generator, discriminator, ema_generator, g_optimizer, d_optimizer
        return cls(*made, step, make_adaptive(config))

    def checkpoint(self) -> tf.train.Checkpoint:
        """The whole state as one `tf.train.Checkpoint`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        # By their own names, so that a run without them has the checkpoints that it always had.
        adaptive = fields.pop("adaptive")
        return tf.train.Checkpoint(**fields, **adaptive)

    def make_sampler(self) -> Sampler:
        """The sampler of the averaged generator; see `sampler.make_sampler`."""
        return make_sampler(self.ema_generator)

    def check_finite(self) -> None:
        """Checks every variable: losses precede an update, and so cannot show that it was bad.

        Raises:
            NotFinite: if a weight or another variable of a network is non-finite.
        """
        step = int(self.step.numpy())
        for network in (self.generator, self.discriminator, self.ema_generator):
            for variable in network.variables:
                if not np.isfinite(variable.numpy()).all():
                    name = f"{network.name}/{variable.path}"
                    expected = f"finite weights at step {step}; earlier checkpoints are intact"
                    raise NotFinite(f"expected {expected}. Received: {name}", step, name)


def gamma_variables(state: State) -> dict[str, keras.Variable]:
    """The gamma of each attention layer, by network and layer name."""
    return {
        f"gamma/{network.name[0]}_{layer.name}": layer.gamma
        for network in (state.generator, state.discriminator)
        for layer in network.stack
        if hasattr(layer, "gamma")
    }
