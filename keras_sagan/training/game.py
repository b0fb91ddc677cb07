"""The adversarial game: what each network learns in one step, and how updates are applied."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.losses import LOSSES, lecam_penalty, r1_penalty
from keras_sagan.sampling import noise
from keras_sagan.training.adam import apply_gradients
from keras_sagan.training.adaptation import adapt, logit_moments
from keras_sagan.training.draws import Conditions, Dealer, make_augment
from keras_sagan.training.micro_batches import mean_over_parts
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
        self.config, self.d_steps = config, config.d_steps
        self.generator, self.g_optimizer = state.generator, state.g_optimizer
        self.discriminator, self.d_optimizer = state.discriminator, state.d_optimizer
        self.ema_generator, self.adaptive = state.ema_generator, state.adaptive
        self.d_loss, self.g_loss = LOSSES[config.loss]
        self.augment = make_augment(config)
        by_data = config.num_classes and config.fake_labels == "data"
        self.class_weights = class_counts if by_data else [1] * max(config.num_classes, 1)
        self.draw = Dealer(config, self.class_weights, self.augment, rollbacks).draw
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
        draws = self.draw(step, noise.D_STEP + turn)
        batch = self.scale_images(images, draws.flips), labels, draws
        return self.update_discriminator(self.discriminator_step, batch, step, turn)

    def update_discriminator(self, learn, batch, step, turn):
        """Updates D once by `learn`, a function of the parts of a batch and of `Conditions`."""
        update, levels = step * self.d_steps + turn, self.levels()

        def learn_from(part, is_first):
            loss, gradients, logits = self.with_r1_when_due(
                update, lambda penalized: learn(*part, Conditions(levels, is_first, penalized))
            )
            return loss, gradients, [logit_moments(each, self.config.loss) for each in logits]

        parts = self.config.accumulate
        loss, gradients, moments = mean_over_parts(learn_from, parts, batch)
        applied = apply_gradients(self.d_optimizer, gradients, self.discriminator)
        adapt(self.adaptive, self.config, moments, update)
        return loss, moments, applied

    def with_r1_when_due(self, update, learn):
        """Returns `learn(penalized)`, with the penalty in every `r1_every`-th update."""
        if not self.config.r1 or self.config.r1_every == 1:
            return learn(bool(self.config.r1))
        due = tf.equal(update % self.config.r1_every, 0)
        return tf.cond(due, lambda: learn(True), lambda: learn(False))

    def train_generator(self, step):
        """Updates G once; returns its loss and the applied gradients."""
        levels = self.levels()

        def learn(draws, is_first):
            return self.generator_step(draws, Conditions(levels, is_first))

        # Without the numbers for real images, of which there are none, nothing draws them.
        draws = self.draw(step, noise.G_STEP)._replace(real=())
        loss, gradients = mean_over_parts(learn, self.config.accumulate, draws)
        return loss, apply_gradients(self.g_optimizer, gradients, self.generator)

    def discriminator_step(self, images, labels, draws, conditions):
        fakes = self.generator(draws.latents, draws.labels, training=True, advance_u=False)
        return self.discriminator_gradients(images, labels, fakes, draws, conditions)

    def discriminator_gradients(self, images, labels, fakes, draws, conditions):
        """Loss, gradients, and the logits of real `images` and of `fakes`, all in [-1, 1]."""
        levels, is_first, penalized = conditions
        images = self.augmented(images, draws.real, levels)
        fakes = self.augmented(fakes, draws.fake, levels)

        def judge_real(images):
            # Only the pass on real images advances u: NO_OPS in the released model.py.
            return self.discriminator(images, labels, training=True, advance_u=is_first)

        with tf.GradientTape() as tape:
            if penalized:
                real_logits, penalty = r1_penalty(judge_real, images)
            else:
                real_logits, penalty = judge_real(images), 0.0
            fake_logits = self.discriminator(fakes, draws.labels, training=True, advance_u=False)
            loss = self.d_loss(real_logits, fake_logits)
            if penalized:  # It counts for the updates without it, too.
                loss += self.config.r1 * self.config.r1_every * penalty
            if self.config.lecam:
                averages = levels["lecam_real"], levels["lecam_fake"]
                loss += self.config.lecam * lecam_penalty(real_logits, fake_logits, *averages)
        gradients = tape.gradient(loss, self.discriminator.trainable_variables)
        return loss, gradients, (real_logits, fake_logits)

    def generator_step(self, draws, conditions):
        advance_u = conditions.is_first
        with tf.GradientTape() as tape:
            fakes = self.generator(draws.latents, draws.labels, training=True, advance_u=advance_u)
            loss = self.fooling_loss(fakes, draws, conditions.levels)
        return loss, tape.gradient(loss, self.generator.trainable_variables)

    def fooling_loss(self, fakes, draws, levels):
        """The generator's loss, with the augmentations of `draws`."""
        seen = self.augmented(fakes, draws.fake, levels)
        return self.g_loss(self.discriminator(seen, draws.labels, training=True, advance_u=False))

    def augmented(self, images, draws, levels):
        """The images as D sees them."""
        return self.augment(images, draws, levels.get("augment_p")) if self.augment else images

    def levels(self):
        """What adapts to D's logits, as tensors; see `make_adaptive`."""
        return {name: variable.read_value() for name, variable in self.adaptive.items()}

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

    def average(self, step):
        """Updates `ema_generator`: weights, moving statistics and singular vectors alike.

        A copy until `ema_start`, as in BigGAN-PyTorch's `ema` class.
        """
        decay = tf.where(step < self.config.ema_start, 0.0, self.config.ema_decay)
        averages = self.ema_generator.variables
        for average, variable in zip(averages, self.generator.variables, strict=True):
            average.assign(average * decay + variable * (1 - decay))


class FakeReusingGame(Game):
    """G learns from the fakes of D's last update, so one pass of the generator serves both.

    D sees them augmented alike both times.
    """

    compiled = ("discriminator_step", "generate", "discriminator_gradients", "fake_gradients")

    def play(self, batches, step):
        *earlier, (images, labels) = batches
        for turn, batch in enumerate(earlier):
            self.train_discriminator(*batch, step, turn)
        draws = self.draw(step, noise.D_STEP + len(earlier))
        real = self.scale_images(images, draws.flips)
        with tf.GradientTape() as tape:
            fakes = self.generate(draws.latents, draws.labels)
        batch = real, labels, fakes, draws
        d_loss, logits, d_applied = self.update_discriminator(
            self.discriminator_gradients, batch, step, len(earlier)
        )
        g_loss, upstream = self.fake_gradients(fakes, draws, self.levels())
        gradients = tape.gradient(fakes, self.generator.trainable_variables, upstream)
        g_applied = apply_gradients(self.g_optimizer, gradients, self.generator)
        self.average(step)
        return (d_loss, g_loss), {"logits": logits, "d": d_applied, "g": g_applied}

    def generate(self, latents, labels):
        return self.generator(latents, labels, training=True, advance_u=True)

    def fake_gradients(self, fakes, draws, levels):
        """The generator's loss, and its gradient with respect to the fakes."""
        with tf.GradientTape() as tape:
            tape.watch(fakes)
            loss = self.fooling_loss(fakes, draws, levels)
        return loss, tape.gradient(loss, fakes)


# By `Config.reuse_fakes`.
GAMES = {False: Game, True: FakeReusingGame}
