"""The adversarial game: what each network learns in one step, and how updates are applied."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.losses import LOSSES
from keras_sagan.sampling import noise
from keras_sagan.training import health
from keras_sagan.training.state import State

# Losses of D and G, and the diagnostics that `health.step_statistics` takes.
Step = tuple[tuple[tf.Tensor, tf.Tensor], dict[str, Any]]


class Game:
    """A generator against a discriminator, as seen from one replica.

    The methods in `compiled` turn tensors into losses and gradients. They draw no noise, change no
    trainable weight and, unless batch normalization is synchronized, do not communicate, so each
    can be one XLA program on any kind of device. `play` does those three things around them.

    Args:
        config: of the run.
        state: the networks and optimizers.
        class_counts: real images of each class; used if `config.fake_labels` is "data".
        jit_compile: whether XLA compiles the methods in `compiled`.
        rollbacks: how often the run has rolled back; each rollback changes the noise of a step.
    """

    compiled: tuple[str, ...] = ("discriminator_step", "generator_step")

    def __init__(
        self,
        config: Config,
        state: State,
        class_counts: Sequence[int],
        jit_compile: bool = False,
        rollbacks: int = 0,
    ) -> None:
        self.config, self.rollbacks, self.d_steps = config, rollbacks, config.d_steps
        by_data = config.num_classes and config.fake_labels == "data"
        self.class_weights = class_counts if by_data else [1] * max(config.num_classes, 1)
        self.generator, self.g_optimizer = state.generator, state.g_optimizer
        self.discriminator, self.d_optimizer = state.discriminator, state.d_optimizer
        self.ema_generator = state.ema_generator
        self.d_loss, self.g_loss = LOSSES[config.loss]
        for name in self.compiled if jit_compile else ():
            method = tf.function(getattr(self, name), jit_compile=True, autograph=False)
            setattr(self, name, method)

    def play(self, batches: Sequence[tuple[tf.Tensor, tf.Tensor]], step: tf.Tensor) -> Step:
        """Performs one step on one replica: D learns from each batch in order, then G once.

        The order is BigGAN's; the released code trains G first.

        Args:
            batches: `d_steps` pairs of images, uint8 or float in [-1, 1], and int32 labels.
            step: int64 scalar, the number of steps done before.

        Returns:
            The losses of D (in its last update) and of G, and a dict: moments of the `logits` of
            real images and of fakes, and the gradients applied to the weights of `d` and `g`.
        """
        for turn, (images, labels) in enumerate(batches):
            d_loss, logits, d_applied = self.train_discriminator(images, labels, step, turn)
        g_loss, g_applied = self.train_generator(step)
        self.average(step)
        return (d_loss, g_loss), {"logits": logits, "d": d_applied, "g": g_applied}

    def train_discriminator(self, images, labels, step, turn):
        """Updates D once; returns its loss, moments of its logits, and the applied gradients."""
        latents, fake_labels, flips = self.draw(step, noise.D_STEP + turn)
        real = self.scale_images(images, flips)
        return self.apply_to_discriminator(
            *self.discriminator_step(real, labels, latents, fake_labels)
        )

    def train_generator(self, step):
        """Updates G once; returns its loss and the applied gradients."""
        latents, labels, _ = self.draw(step, noise.G_STEP)
        loss, gradients = self.generator_step(latents, labels)
        return loss, apply_gradients(self.g_optimizer, gradients, self.generator)

    def discriminator_step(self, images, labels, latents, fake_labels):
        fakes = self.generator(latents, fake_labels, training=True, advance_u=False)
        return self.discriminator_gradients(images, labels, fakes, fake_labels)

    def discriminator_gradients(self, images, labels, fakes, fake_labels):
        with tf.GradientTape() as tape:
            # Only the pass on real images advances u: NO_OPS in the released model.py.
            real_logits = self.discriminator(images, labels, training=True, advance_u=True)
            fake_logits = self.discriminator(fakes, fake_labels, training=True, advance_u=False)
            loss = self.d_loss(real_logits, fake_logits)
        gradients = tape.gradient(loss, self.discriminator.trainable_variables)
        return loss, gradients, (real_logits, fake_logits)

    def generator_step(self, latents, labels):
        with tf.GradientTape() as tape:
            fakes = self.generator(latents, labels, training=True, advance_u=True)
            logits = self.discriminator(fakes, labels, training=True, advance_u=False)
            loss = self.g_loss(logits)
        return loss, tape.gradient(loss, self.generator.trainable_variables)

    def apply_to_discriminator(self, loss, gradients, logits):
        applied = apply_gradients(self.d_optimizer, gradients, self.discriminator)
        return loss, [*map(health.logit_moments, logits)], applied

    def scale_images(self, images, flips):
        """Scales uint8 levels to [-1, 1] and, if the run flips images, mirrors where `flips`.

        Floats are already in [-1, 1].
        """
        real = tf.cast(images, tf.float32)
        if images.dtype == tf.uint8:
            real = real * (2 / 255) - 1
        if self.config.flip:
            real = tf.where(flips[:, None, None, None], tf.reverse(real, [2]), real)
        return real

    def draw(self, step, purpose):
        """This replica's share of the global batch's latents, labels, and coin flips for mirroring.

        Every replica draws the whole batch, so a step does not depend on the number of replicas.
        """
        replicas = tf.distribute.get_replica_context()
        share = self.config.batch_size // replicas.num_replicas_in_sync
        start = replicas.replica_id_in_sync_group * share
        seed = noise.derive_seed(tf.constant([self.rollbacks, self.config.seed]), step, purpose)
        size, z_dim = self.config.batch_size, self.config.z_dim
        whole = noise.latents_and_labels(seed, size, z_dim, self.class_weights)
        shares = (drawn[start : start + share] for drawn in (*whole, noise.coins(seed, size)))
        return tuple(tf.ensure_shape(drawn, [share, *drawn.shape[1:]]) for drawn in shares)

    def average(self, step):
        """Updates `ema_generator`: weights, moving statistics and singular vectors alike.

        A copy until `ema_start`, as in BigGAN-PyTorch's `ema` class.
        """
        decay = tf.where(step < self.config.ema_start, 0.0, self.config.ema_decay)
        averages = self.ema_generator.variables
        for average, variable in zip(averages, self.generator.variables, strict=True):
            average.assign(average * decay + variable * (1 - decay))


class FakeReusingGame(Game):
    """G learns from the fakes of D's last update, so one pass of the generator serves both."""

    compiled = ("discriminator_step", "generate", "discriminator_gradients", "fake_gradients")

    def play(self, batches, step):
        *earlier, (images, labels) = batches
        for turn, batch in enumerate(earlier):
            self.train_discriminator(*batch, step, turn)
        latents, fake_labels, flips = self.draw(step, noise.D_STEP + len(earlier))
        real = self.scale_images(images, flips)
        with tf.GradientTape() as tape:
            fakes = self.generate(latents, fake_labels)
        found = self.discriminator_gradients(real, labels, fakes, fake_labels)
        d_loss, logits, d_applied = self.apply_to_discriminator(*found)
        g_loss, upstream = self.fake_gradients(fakes, fake_labels)
        gradients = tape.gradient(fakes, self.generator.trainable_variables, upstream)
        g_applied = apply_gradients(self.g_optimizer, gradients, self.generator)
        self.average(step)
        return (d_loss, g_loss), {"logits": logits, "d": d_applied, "g": g_applied}

    def generate(self, latents, labels):
        return self.generator(latents, labels, training=True, advance_u=True)

    def fake_gradients(self, fakes, labels):
        """The generator's loss, and its gradient with respect to the fakes."""
        with tf.GradientTape() as tape:
            tape.watch(fakes)
            logits = self.discriminator(fakes, labels, training=True, advance_u=False)
            loss = self.g_loss(logits)
        return loss, tape.gradient(loss, fakes)


# By `Config.reuse_fakes`.
GAMES = {False: Game, True: FakeReusingGame}


def apply_gradients(optimizer, gradients, network) -> list[tf.Tensor]:
    """Applies the mean gradients over replicas; returns this replica's share of the sum.

    Optimizers sum over replicas, so each share is divided by the number of replicas.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    shares = [gradient / replicas for gradient in gradients]
    optimizer.apply(shares, network.trainable_variables)
    return shares
