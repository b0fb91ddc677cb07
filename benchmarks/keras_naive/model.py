"""The SAGAN that one would write today from stock parts of Keras, as a baseline for ours.

It consists of `keras.layers.SpectralNormalization` around convolutions, the usual attention layer,
functional models, and a `train_step` for `fit`. Blocks, widths and optimizers match
`networks/sagan.py` and `training/game.py`, so parameters and costs are equal. The stock parts
differ:

- The wrapper overwrites the kernel with W / sigma in every training call. A discriminator update
  therefore normalizes twice, and no gradient passes through sigma (`layers/spectral.py`).
- Batch normalization gets its class through two embeddings, and its statistics are Keras' own.
- Adam keeps the moving averages (`use_ema`), of the weights alone. `averaged` therefore samples
  with the moving statistics of the weights in training, and with kernels that are means of
  normalized kernels and are not normalized again.
- There is one discriminator update per step, the hinge loss, and one device.
"""

import contextlib

import keras
import tensorflow as tf
from keras import layers, ops

from benchmarks.keras_naive.stock_layers import (
    attend_if_listed,
    batch_norm,
    discriminator_block,
    generator_block,
    spectral_conv,
    spectral_normalized,
    width_multiplier,
)
from keras_sagan.networks import dtype_policy
from keras_sagan.networks.network import channels_last

LOWEST = 4


def make_generator(*, image_shape, channels, z_dim, num_classes, attention, bn_momenta):
    """`[latents, labels]` to images in [-1, 1]; latents alone without classes.

    Images have `image_shape`, the last feature maps have `channels`, and an attention layer follows
    each resolution in `attention`. `bn_momenta` are of batch normalization in the blocks, and of
    the last one.
    """
    image_size = image_shape[0]
    latents = keras.Input((z_dim,))
    labels = keras.Input((), dtype="int32") if num_classes else None
    doublings = (image_size // LOWEST).bit_length() - 1
    width = channels * width_multiplier(image_size, doublings)
    features = spectral_normalized(layers.Dense(LOWEST * LOWEST * width))(latents)
    features = layers.Reshape((LOWEST, LOWEST, width))(features)
    for i in reversed(range(doublings)):
        filters = channels * width_multiplier(image_size, i)
        features = generator_block(features, labels, filters, num_classes, bn_momenta[0])
        features = attend_if_listed(features, image_size >> i, attention)
    features = layers.ReLU()(batch_norm(features, None, num_classes, bn_momenta[1]))
    outputs = spectral_conv(features, image_shape[-1])
    images = layers.Activation("tanh", dtype="float32")(outputs)
    return keras.Model([latents, labels] if num_classes else latents, images)


def make_discriminator(*, image_shape, channels, num_classes, attention):
    """`[images, labels]` to logits `[batch]`; images alone without classes."""
    features = images = keras.Input(image_shape)
    image_size = image_shape[0]
    small = image_size <= 32
    halvings = 2 if small else (image_size // LOWEST).bit_length() - 1
    for i in range(halvings):
        filters = channels * width_multiplier(image_size, i)
        features = discriminator_block(features, filters, first=i == 0)
        features = attend_if_listed(features, image_size >> (i + 1), attention)
    width = channels * width_multiplier(image_size, halvings)
    for _ in range(2 if small else 1):
        features = discriminator_block(features, width, downsample=False)
    features = ops.sum(layers.ReLU()(features), axis=(1, 2))
    logits = spectral_normalized(layers.Dense(1, dtype="float32"))(features)
    if not num_classes:
        return keras.Model(images, logits[:, 0])
    labels = keras.Input((), dtype="int32")
    # Labels as float32: the wrapper casts its output to the dtype of its input, and integers have
    # no gradient.
    embedding = spectral_normalized(layers.Embedding(num_classes, width, dtype="float32"))
    vectors = embedding(ops.cast(labels, "float32"))
    logits = logits[:, 0] + ops.sum(ops.cast(features, "float32") * vectors, axis=-1)
    return keras.Model([images, labels], logits)


@channels_last()
def make_gan(config):
    """The `NaiveGan` of a `Config`."""
    shape = (config.image_size, config.image_size, config.image_channels)
    shared = {"image_shape": shape, "num_classes": config.num_classes}
    settings = {"beta_1": config.beta_1, "beta_2": config.beta_2, "epsilon": 1e-8}
    keras.utils.set_random_seed(config.seed)
    with dtype_policy(config.precision):
        own = {"channels": config.g_channels, "attention": config.g_attention_resolutions}
        momenta = (config.bn_momentum, config.bn_momentum_last)
        generator = make_generator(**shared, **own, z_dim=config.z_dim, bn_momenta=momenta)
        discriminator = make_discriminator(
            **shared, channels=config.d_channels, attention=config.d_attention_resolutions
        )
        d_optimizer = keras.optimizers.Adam(config.d_lr, **settings)
        settings |= {"use_ema": True, "ema_momentum": config.ema_decay}
        optimizers = (keras.optimizers.Adam(config.g_lr, **settings), d_optimizer)
        return NaiveGan((generator, discriminator), optimizers, config.num_classes, config.seed)


class NaiveGan(keras.Model):
    """Both networks, and what `fit` does with a batch: D learns, then G.

    The pairs start with the generator's, whose optimizer has `use_ema`. `seed` is of latents and
    labels.

    Input of a training step: uint8 images `[batch, height, width, channels]`, and labels `[batch]`.
    """

    def __init__(self, networks, optimizers, num_classes, seed):
        super().__init__()
        self.generator, self.discriminator = networks
        self.g_optimizer, self.d_optimizer = optimizers
        self.num_classes = num_classes
        self.d_optimizer.build(self.discriminator.trainable_variables)
        self.g_optimizer.build(self.generator.trainable_variables)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def generate(self, latents, labels, training=False):
        inputs = [latents, labels] if self.num_classes else latents
        return self.generator(inputs, training=training)

    def discriminate(self, images, labels, training=False):
        inputs = [images, labels] if self.num_classes else images
        return self.discriminator(inputs, training=training)

    @contextlib.contextmanager
    def averaged(self):
        """Within this context, the generator has its averaged weights."""
        weights = self.generator.get_weights()
        self.g_optimizer.finalize_variable_values(self.generator.trainable_variables)
        try:
            yield
        finally:
            self.generator.set_weights(weights)

    def restart_averages(self):
        """Sets the averages to the current weights, because Keras has no `ema_start`."""
        averages = self.g_optimizer._model_variables_moving_average
        for average, weight in zip(averages, self.generator.trainable_variables, strict=True):
            average.assign(weight)

    def draw_latents_and_labels(self, batch_size):
        shape = (batch_size, self.generator.inputs[0].shape[-1])
        classes = max(self.num_classes, 1)
        latents = keras.random.normal(shape, seed=self.seed_generator)
        labels = keras.random.randint((batch_size,), 0, classes, seed=self.seed_generator)
        return latents, labels

    def train_step(self, data):
        images, labels = data
        images = ops.cast(images, "float32") / 127.5 - 1
        d_loss = self.train_discriminator(images, labels)
        return {"d_loss": d_loss, "g_loss": self.train_generator(ops.shape(images)[0])}

    def train_discriminator(self, images, labels):
        latents, fake_labels = self.draw_latents_and_labels(ops.shape(images)[0])
        fakes = self.generate(latents, fake_labels, training=True)
        with tf.GradientTape() as tape:
            real_logits = self.discriminate(images, labels, training=True)
            fake_logits = self.discriminate(fakes, fake_labels, training=True)
            loss = ops.mean(ops.relu(1 - real_logits)) + ops.mean(ops.relu(1 + fake_logits))
        variables = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def train_generator(self, batch_size):
        latents, labels = self.draw_latents_and_labels(batch_size)
        with tf.GradientTape() as tape:
            fakes = self.generate(latents, labels, training=True)
            loss = -ops.mean(self.discriminate(fakes, labels, training=True))
        variables = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(loss, variables), variables)
        return loss
