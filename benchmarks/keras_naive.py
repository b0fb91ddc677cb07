"""The SAGAN that one would write today from stock parts of Keras, to compare ours with.

`keras.layers.SpectralNormalization` around convolutions, the usual attention layer, functional
models, and a `train_step` for `fit`. Same blocks, widths and optimizers as `networks/sagan.py` and
`training/game.py`, so parameters and costs are equal; what differs is what the stock parts do:

- the wrapper overwrites the kernel with W / sigma in every training call, so a step of the
  discriminator normalizes twice, and no gradient passes through sigma (`layers/spectral.py`);
- batch normalization takes its class through two embeddings; the statistics are Keras' own;
- Adam keeps the moving averages (`use_ema`), of the weights alone: `averaged` samples with the
  moving statistics of the weights that are trained, and by kernels that are means of normalized
  ones, which no call normalizes again;
- one discriminator update a step, hinge loss, one device.
"""

import contextlib

import keras
import tensorflow as tf
from keras import layers, ops

from keras_sagan.networks import dtype_policy

LOWEST = 4


def spectral(layer):
    return layers.SpectralNormalization(layer, dtype=layer.dtype_policy)


def conv(inputs, filters, kernel_size=3):
    return spectral(layers.Conv2D(filters, kernel_size, padding="same"))(inputs)


class SelfAttention(layers.Layer):
    """The usual snippet, in the form of the released code: pooled keys and values, C / 2 wide.

    Args:
        wrap: function around each 1x1 convolution.
    """

    def __init__(self, wrap=spectral, **kwargs):
        super().__init__(**kwargs)
        self.wrap = wrap

    def build(self, input_shape):
        channels = input_shape[-1]
        widths = [max(channels // 8, 1)] * 2 + [max(channels // 2, 1), channels]
        self.query, self.key, self.value, self.output_projection = (
            self.wrap(layers.Conv2D(filters, 1, use_bias=False)) for filters in widths
        )
        self.pool = layers.MaxPooling2D()
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="zeros")

    def call(self, inputs):
        _, height, width, channels = inputs.shape
        query = ops.reshape(self.query(inputs), (-1, height * width, max(channels // 8, 1)))
        keys = self.pool(self.key(inputs))
        keys = ops.reshape(keys, (-1, height * width // 4, max(channels // 8, 1)))
        values = self.pool(self.value(inputs))
        values = ops.reshape(values, (-1, height * width // 4, max(channels // 2, 1)))
        weights = ops.softmax(ops.matmul(query, ops.transpose(keys, (0, 2, 1))))
        attended = ops.reshape(ops.matmul(weights, values), (-1, height, width, values.shape[-1]))
        return inputs + self.gamma * self.output_projection(attended)


def batch_norm(inputs, labels, config, momentum):
    """Batch normalization, with scale and offset of the class if there are classes."""
    conditional = labels is not None
    norm = layers.BatchNormalization(
        momentum=momentum, epsilon=1e-5, center=not conditional, scale=not conditional
    )
    outputs = norm(inputs)
    if not conditional:
        return outputs
    channels = inputs.shape[-1]
    scale, offset = (
        layers.Reshape((1, 1, channels))(
            layers.Embedding(config.num_classes, channels, embeddings_initializer=initializer)(
                labels
            )
        )
        for initializer in ("ones", "zeros")
    )
    return outputs * scale + offset


def generator_block(inputs, labels, filters, config):
    outputs = layers.ReLU()(batch_norm(inputs, labels, config, config.bn_momentum))
    outputs = conv(layers.UpSampling2D()(outputs), filters)
    outputs = layers.ReLU()(batch_norm(outputs, labels, config, config.bn_momentum))
    return conv(outputs, filters) + conv(layers.UpSampling2D()(inputs), filters, 1)


def discriminator_block(inputs, filters, downsample=True, first=False):
    pool = layers.AveragePooling2D(2) if downsample else layers.Identity()
    outputs = conv(inputs if first else layers.ReLU()(inputs), filters)
    outputs = pool(conv(layers.ReLU()(outputs), filters))
    if not downsample and inputs.shape[-1] == filters:
        return outputs + inputs
    return outputs + (conv(pool(inputs), filters, 1) if first else pool(conv(inputs, filters, 1)))


def multiplier(config, halvings):
    return 1 if config.image_size <= 32 else min(2**halvings, 16)


def make_generator(config):
    """`[latents, labels]` to images in [-1, 1]; latents alone without classes."""
    latents = keras.Input((config.z_dim,))
    labels = keras.Input((), dtype="int32") if config.num_classes else None
    doublings = (config.image_size // LOWEST).bit_length() - 1
    width = config.g_channels * multiplier(config, doublings)
    features = spectral(layers.Dense(LOWEST * LOWEST * width))(latents)
    features = layers.Reshape((LOWEST, LOWEST, width))(features)
    for i in reversed(range(doublings)):
        filters = config.g_channels * multiplier(config, i)
        features = generator_block(features, labels, filters, config)
        resolution = config.image_size >> i
        if resolution in config.g_attention_resolutions:
            features = SelfAttention(name=f"attention_{resolution}")(features)
    features = layers.ReLU()(batch_norm(features, None, config, config.bn_momentum_last))
    outputs = conv(features, config.image_channels)
    images = layers.Activation("tanh", dtype="float32")(outputs)
    return keras.Model([latents, labels] if config.num_classes else latents, images)


def make_discriminator(config):
    """`[images, labels]` to logits `[batch]`; images alone without classes."""
    images = keras.Input((config.image_size, config.image_size, config.image_channels))
    small = config.image_size <= 32
    halvings = 2 if small else (config.image_size // LOWEST).bit_length() - 1
    features = images
    for i in range(halvings):
        filters = config.d_channels * multiplier(config, i)
        features = discriminator_block(features, filters, first=i == 0)
        resolution = config.image_size >> (i + 1)
        if resolution in config.d_attention_resolutions:
            features = SelfAttention(name=f"attention_{resolution}")(features)
    width = config.d_channels * multiplier(config, halvings)
    for _ in range(2 if small else 1):
        features = discriminator_block(features, width, downsample=False)
    features = ops.sum(layers.ReLU()(features), axis=(1, 2))
    logits = spectral(layers.Dense(1, dtype="float32"))(features)
    if not config.num_classes:
        return keras.Model(images, logits[:, 0])
    labels = keras.Input((), dtype="int32")
    # As float32: the wrapper casts its output to the dtype of its input, and of whole numbers there
    # is no gradient.
    embedding = spectral(layers.Embedding(config.num_classes, width, dtype="float32"))
    vectors = embedding(ops.cast(labels, "float32"))
    logits = logits[:, 0] + ops.sum(ops.cast(features, "float32") * vectors, axis=-1)
    return keras.Model([images, labels], logits)


def make(config, jit_compile=False, steps_per_execution=1):
    """The model of a `Config`, compiled for `fit` on batches of uint8 images and labels."""
    keras.utils.set_random_seed(config.seed)
    with dtype_policy(config.precision):
        gan = NaiveGan(config)
    gan.compile(jit_compile=jit_compile, steps_per_execution=steps_per_execution)
    return gan


class NaiveGan(keras.Model):
    """Both networks and what `fit` does with a batch: D learns, then G.

    Args:
        config: `Config`.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.generator, self.discriminator = make_generator(config), make_discriminator(config)
        settings = {"beta_1": config.beta_1, "beta_2": config.beta_2, "epsilon": 1e-8}
        self.d_optimizer = keras.optimizers.Adam(config.d_lr, **settings)
        self.g_optimizer = keras.optimizers.Adam(
            config.g_lr, **settings, use_ema=True, ema_momentum=config.ema_decay
        )
        self.d_optimizer.build(self.discriminator.trainable_variables)
        self.g_optimizer.build(self.generator.trainable_variables)
        self.seed_generator = keras.random.SeedGenerator(config.seed)

    def generate(self, latents, labels, training=False):
        inputs = [latents, labels] if self.config.num_classes else latents
        return self.generator(inputs, training=training)

    def judge(self, images, labels, training=False):
        inputs = [images, labels] if self.config.num_classes else images
        return self.discriminator(inputs, training=training)

    @contextlib.contextmanager
    def averaged(self):
        """The generator has its averaged weights in this context, and its own again after it."""
        weights = self.generator.get_weights()
        self.g_optimizer.finalize_variable_values(self.generator.trainable_variables)
        try:
            yield
        finally:
            self.generator.set_weights(weights)

    def restart_averages(self):
        """Averages from the present weights on, since Keras has nothing like `ema_start`."""
        averages = self.g_optimizer._model_variables_moving_average
        for average, weight in zip(averages, self.generator.trainable_variables, strict=True):
            average.assign(weight)

    def draw(self, batch_size):
        shape, classes = (batch_size, self.config.z_dim), max(self.config.num_classes, 1)
        latents = keras.random.normal(shape, seed=self.seed_generator)
        labels = keras.random.randint((batch_size,), 0, classes, seed=self.seed_generator)
        return latents, labels

    def train_step(self, data):
        images, labels = data
        images = ops.cast(images, "float32") / 127.5 - 1
        d_loss = self.train_discriminator(images, labels)
        return {"d_loss": d_loss, "g_loss": self.train_generator(ops.shape(images)[0])}

    def train_discriminator(self, images, labels):
        latents, fake_labels = self.draw(ops.shape(images)[0])
        fakes = self.generate(latents, fake_labels, training=True)
        with tf.GradientTape() as tape:
            real_logits = self.judge(images, labels, training=True)
            fake_logits = self.judge(fakes, fake_labels, training=True)
            loss = ops.mean(ops.relu(1 - real_logits)) + ops.mean(ops.relu(1 + fake_logits))
        variables = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def train_generator(self, batch_size):
        latents, labels = self.draw(batch_size)
        with tf.GradientTape() as tape:
            fakes = self.generate(latents, labels, training=True)
            loss = -ops.mean(self.judge(fakes, labels, training=True))
        variables = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(loss, variables), variables)
        return loss
