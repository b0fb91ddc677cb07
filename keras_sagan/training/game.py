"""The adversarial game: what each network learns in one step, and how it is applied."""

import tensorflow as tf

from keras_sagan.losses import LOSSES
from keras_sagan.sampling import noise
from keras_sagan.training import health as vitals


class Game:
    """A generator against a discriminator, seen from one replica.

    `discriminator_step` and `generator_step` turn tensors into a loss and its gradients. They draw
    no noise, change no trainable weight and, unless batch normalization is synchronized, do not
    communicate, so each can be one XLA program on every kind of device. `play` does those three
    things around them. With `config.reuse_fakes` one pass of the generator serves both networks,
    and the programs are three: `fakes`, `tell_apart` and `persuade`.

    Args:
        config: `Config`.
        state: `State`, the networks and optimizers.
        class_counts: real images of each class, ints; they count if `config.fake_labels` is "data".
        jit_compile: bool, whether XLA compiles the two steps.
        rollbacks: int, how often the run went back to before its numbers were not finite: each
            time the same steps get other noise.
    """

    def __init__(self, config, state, class_counts, jit_compile=False, rollbacks=0):
        self.config, self.rollbacks = config, rollbacks
        by_data = config.num_classes and config.fake_labels == "data"
        self.class_weights = class_counts if by_data else [1] * max(config.num_classes, 1)
        self.generator, self.g_optimizer = state.generator, state.g_optimizer
        self.discriminator, self.d_optimizer = state.discriminator, state.d_optimizer
        self.ema_generator = state.ema_generator
        self.d_loss, self.g_loss = LOSSES[config.loss]
        own = ("fakes", "tell_apart", "persuade") if config.reuse_fakes else ("generator_step",)
        for name in ("discriminator_step", *own) if jit_compile else ():
            setattr(self, name, tf.function(getattr(self, name), jit_compile=True))

    def discriminator_step(self, images, labels, latents, fake_labels):
        fakes = self.generator(latents, fake_labels, training=True)
        return self.tell_apart(images, labels, fakes, fake_labels)

    def tell_apart(self, images, labels, fakes, fake_labels):
        """`discriminator_step` with fakes at hand."""
        with tf.GradientTape() as tape:
            # Only the pass on real images advances u: NO_OPS in the released model.py.
            real_logits = self.discriminator(images, labels, training=True, advance_u=True)
            fake_logits = self.discriminator(fakes, fake_labels, training=True)
            loss = self.d_loss(real_logits, fake_logits)
        gradients = tape.gradient(loss, self.discriminator.trainable_variables)
        return loss, gradients, (real_logits, fake_logits)

    def generator_step(self, latents, labels):
        with tf.GradientTape() as tape:
            fakes = self.fakes(latents, labels)
            logits = self.discriminator(fakes, labels, training=True)
            loss = self.g_loss(logits)
        return loss, tape.gradient(loss, self.generator.trainable_variables)

    def fakes(self, latents, labels):
        """Those that the generator learns from."""
        return self.generator(latents, labels, training=True, advance_u=True)

    def persuade(self, fakes, labels):
        """The generator's loss, and its gradient in the fakes."""
        with tf.GradientTape() as tape:
            tape.watch(fakes)
            loss = self.g_loss(self.discriminator(fakes, labels, training=True))
        return loss, tape.gradient(loss, fakes)

    def play(self, batches, step):
        """One step on one replica: D learns from each batch in turn, then G once.

        The order is BigGAN's; the released code lets G go first.

        Args:
            batches: `config.d_steps` pairs of images, uint8, and labels, int32.
            step: int64 scalar, the steps done before this one.

        Returns:
            The losses of D, in its last turn, and of G; and what `vitals.signs` looks at: a dict
            of moments of the `logits` of real images and of fakes, and of what was applied to the
            weights of `d` and `g`.
        """
        for turn, (images, labels) in enumerate(batches):
            latents, fake_labels, flips = self.draw(step, noise.D_STEP + turn)
            real = tf.cast(images, tf.float32) * (2 / 255) - 1
            if self.config.flip:
                real = tf.where(flips[:, None, None, None], tf.reverse(real, [2]), real)
            if self.config.reuse_fakes and turn == len(batches) - 1:
                with tf.GradientTape() as tape:
                    fakes = self.fakes(latents, fake_labels)
                told = self.tell_apart(real, labels, fakes, fake_labels)
            else:
                told = self.discriminator_step(real, labels, latents, fake_labels)
            d_loss, gradients, logits = told
            d_applied = apply(self.d_optimizer, gradients, self.discriminator)
        if self.config.reuse_fakes:
            g_loss, upstream = self.persuade(fakes, fake_labels)
            gradients = tape.gradient(fakes, self.generator.trainable_variables, upstream)
        else:
            latents, fake_labels, _ = self.draw(step, noise.G_STEP)
            g_loss, gradients = self.generator_step(latents, fake_labels)
        g_applied = apply(self.g_optimizer, gradients, self.generator)
        self.average(step)
        evidence = {"logits": [*map(vitals.moments, logits)], "d": d_applied, "g": g_applied}
        return (d_loss, g_loss), evidence

    def draw(self, step, purpose):
        """This replica's share of the global batch's latents, labels, and coins for flipping.

        Every replica draws the whole batch, so a step does not depend on the number of replicas.
        """
        replicas = tf.distribute.get_replica_context()
        share = self.config.batch_size // replicas.num_replicas_in_sync
        start = replicas.replica_id_in_sync_group * share
        seed = noise.fold(tf.constant([self.rollbacks, self.config.seed]), step, purpose)
        size, z_dim = self.config.batch_size, self.config.z_dim
        whole = noise.latents_and_labels(seed, size, z_dim, self.class_weights)
        shares = (drawn[start : start + share] for drawn in (*whole, noise.coins(seed, size)))
        return tuple(tf.ensure_shape(drawn, [share, *drawn.shape[1:]]) for drawn in shares)

    def average(self, step):
        """Moves `ema_generator`: weights, moving statistics and singular vectors alike.

        A copy until `ema_start`, as in BigGAN-PyTorch's `ema` class.
        """
        decay = tf.where(step < self.config.ema_start, 0.0, self.config.ema_decay)
        for average, variable in zip(
            self.ema_generator.variables, self.generator.variables, strict=True
        ):
            average.assign(average * decay + variable * (1 - decay))


def apply(optimizer, gradients, network):
    """Optimizers add gradients over replicas, so a mean must be divided by their number.

    Returns:
        This replica's part of the sum.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    parts = [g / replicas for g in gradients]
    optimizer.apply(parts, network.trainable_variables)
    return parts
