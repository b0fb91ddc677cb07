"""DCGAN, the baseline without attention, residuals or spectral normalization.

Source: Radford et al. 2016, https://arxiv.org/abs/1511.06434, section 3 and figure 1: strided 5x5
convolutions, batch normalization except at the generator's output and the discriminator's input,
ReLU and LeakyReLU 0.2, weights from N(0, 0.02). Any size: one more stage per doubling. Latents are
normal and of length z_dim as in our other models, so that the harness changes one thing at a time.

The conditional variant is our choice: the generator's batch normalizations and the discriminator's
output are conditioned as SAGAN's are, so that the two differ in the trunk alone.
"""

import keras
import tensorflow as tf

from keras_sagan.layers import ConditionalBatchNormalization, SpectralEmbedding
from keras_sagan.networks.network import Network

LOWEST = 4


def generator(config):
    """Latents `[batch, z_dim]` and labels `[batch]` to images in [-1, 1], float32."""
    stages = stages_of(config)
    width = config.g_channels * multiplier(stages - 1)
    stack = [
        keras.layers.Dense(
            LOWEST * LOWEST * width, kernel_initializer=normal(), name="input_dense"
        ),
        keras.layers.Reshape((LOWEST, LOWEST, width), name="input_reshape"),
        *normalized(config, LOWEST),
    ]
    for i in reversed(range(stages - 1)):
        resolution = config.image_size >> (i + 1)
        stack += [
            deconvolution(config.g_channels * multiplier(i), f"deconv_{resolution}"),
            *normalized(config, resolution),
        ]
    stack += [
        deconvolution(config.image_channels, f"deconv_{config.image_size}"),
        keras.layers.Activation("tanh", dtype="float32", name="images"),
    ]
    return Network(stack, (config.z_dim,), config.num_classes, name="generator")


def discriminator(config):
    """Images in [-1, 1] and labels `[batch]` to logits `[batch]`, unbounded, float32."""
    stack = []
    for i in range(stages_of(config)):
        resolution = config.image_size >> (i + 1)
        stack.append(
            keras.layers.Conv2D(
                config.d_channels * multiplier(i),
                5,
                2,
                "same",
                kernel_initializer=normal(),
                name=f"conv_{resolution}",
            )
        )
        if i > 0:
            stack.append(
                ConditionalBatchNormalization(
                    momentum=config.bn_momentum,
                    synchronized=config.sync_batch_norm,
                    fast=config.fast,
                    name=f"norm_{resolution}",
                )
            )
        stack.append(keras.layers.LeakyReLU(0.2, name=f"relu_{resolution}"))
    stack.append(Head(config.num_classes, name="logits"))
    image_shape = (config.image_size, config.image_size, config.image_channels)
    return Network(stack, image_shape, config.num_classes, name="discriminator")


@keras.saving.register_keras_serializable("keras_sagan")
class Head(keras.layers.Layer):
    """A dense layer on all features, plus the projection of their sum over positions on the class.

    Args:
        num_classes: int; 0 leaves out the projection, as in the paper.

    Input shape: `[batch, height, width, channels]`.
    Output shape: `[batch]`, float32.
    """

    def __init__(self, num_classes=0, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def build(self, input_shape):
        _, height, width, channels = input_shape
        self.dense = keras.layers.Dense(1, kernel_initializer=normal(), dtype="float32")
        self.dense.build((None, height * width * channels))
        if self.num_classes:
            self.embedding = SpectralEmbedding(
                self.num_classes,
                channels,
                normalize=False,
                kernel_initializer=normal(),
                dtype="float32",
            )
            self.embedding.build((None,))

    def call(self, inputs, labels=None):
        images = tf.cast(inputs, tf.float32)
        features = tf.reshape(images, [-1, self.dense.kernel.shape[0]])
        logits = self.dense(features)[:, 0]
        if self.num_classes:
            logits += tf.reduce_sum(
                tf.reduce_sum(images, axis=(1, 2)) * self.embedding(labels), axis=1
            )
        return logits

    def get_config(self):
        return super().get_config() | {"num_classes": self.num_classes}


def stages_of(config):
    return (config.image_size // LOWEST).bit_length() - 1


def multiplier(halvings):
    return min(2**halvings, 16)


def normal():
    return keras.initializers.RandomNormal(stddev=0.02)


def deconvolution(filters, name):
    return keras.layers.Conv2DTranspose(
        filters, 5, 2, "same", kernel_initializer=normal(), name=name
    )


def normalized(config, resolution):
    return [
        ConditionalBatchNormalization(
            config.num_classes,
            config.bn_momentum,
            synchronized=config.sync_batch_norm,
            fast=config.fast,
            name=f"norm_{resolution}",
        ),
        keras.layers.ReLU(name=f"relu_{resolution}"),
    ]
