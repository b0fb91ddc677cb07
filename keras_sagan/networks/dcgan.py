"""DCGAN, the baseline without attention, residuals or spectral normalization.

Source: Radford et al. 2016, https://arxiv.org/abs/1511.06434, section 3 and figure 1: strided 5x5
convolutions, batch normalization except at the generator's output and the discriminator's input,
ReLU and LeakyReLU 0.2, weights from N(0, 0.02). Larger images get one more stage per doubling.
Our choices, so that the two differ in the trunk alone: as SAGAN's, latents are normal and have
length z_dim, and the generator's batch normalizations and the discriminator's output are
conditioned.
"""

from typing import Any

import keras
import tensorflow as tf

from keras_sagan.layers import ConditionalBatchNormalization, SpectralEmbedding
from keras_sagan.layers.tensors import at_least_float32, image_spec
from keras_sagan.networks.network import (
    LOWEST,
    ExactOutputs,
    Network,
    channels_last,
    check_images_and_classes,
    count_halvings,
)


@channels_last()
def generator(
    *,
    image_size: int = 128,
    image_channels: int = 3,
    z_dim: int = 128,
    channels: int = 64,
    num_classes: int = 0,
    bn_momentum: float = 0.999,
    sync_batch_norm: bool = False,
    fast: bool = True,
) -> Network:
    """Makes the network from latents `[batch, z_dim]` and labels `[batch]` to images.

    Images are `[batch, image_size, image_size, image_channels]`, float32, in [-1, 1]. The docstring
    of `sagan` describes the arguments.

    Raises:
        ValueError: if no such network exists.
    """
    check_images_and_classes(image_size, num_classes)
    stages = count_halvings(image_size)
    width = channels * multiplier(stages - 1)
    norm = {"momentum": bn_momentum, "synchronized": sync_batch_norm, "fast": fast}
    units, initializer = LOWEST * LOWEST * width, normal()
    dense = keras.layers.Dense(units, kernel_initializer=initializer, name="input_dense")
    stack = [dense, keras.layers.Reshape((LOWEST, LOWEST, width), name="input_reshape")]
    stack += normalized_relu(LOWEST, num_classes, norm)
    for i in reversed(range(stages - 1)):
        resolution = image_size >> (i + 1)
        stack.append(deconvolution(channels * multiplier(i), f"deconv_{resolution}"))
        stack += normalized_relu(resolution, num_classes, norm)
    stack.append(deconvolution(image_channels, f"deconv_{image_size}"))
    dtype = at_least_float32(keras.config.dtype_policy().compute_dtype)
    stack.append(keras.layers.Activation("tanh", dtype=dtype, name="images"))
    return Network(stack, (z_dim,), num_classes, name="generator")


@channels_last()
def discriminator(
    *,
    image_size: int = 128,
    image_channels: int = 3,
    channels: int = 64,
    num_classes: int = 0,
    bn_momentum: float = 0.999,
    sync_batch_norm: bool = False,
    fast: bool = True,
) -> Network:
    """Makes the network from images and labels `[batch]` to logits `[batch]`.

    Images are `[batch, image_size, image_size, image_channels]`, in [-1, 1]. Logits are unbounded,
    float32. The docstring of `sagan` describes the arguments.

    Raises:
        ValueError: if no such network exists.
    """
    check_images_and_classes(image_size, num_classes)
    norm = {"momentum": bn_momentum, "synchronized": sync_batch_norm, "fast": fast}
    stack = []
    for i in range(count_halvings(image_size)):
        resolution = image_size >> (i + 1)
        settings = {"kernel_initializer": normal(), "name": f"conv_{resolution}"}
        stack.append(keras.layers.Conv2D(channels * multiplier(i), 5, 2, "same", **settings))
        if i > 0:
            stack.append(ConditionalBatchNormalization(name=f"norm_{resolution}", **norm))
        stack.append(keras.layers.LeakyReLU(0.2, name=f"relu_{resolution}"))
    stack.append(Head(num_classes, name="logits"))
    image_shape = (image_size, image_size, image_channels)
    return Network(stack, image_shape, num_classes, name="discriminator")


@keras.saving.register_keras_serializable("keras_sagan")
class Head(ExactOutputs):
    """A dense layer on all features, plus the projection of their sum over positions on the class.

    Args:
        num_classes: int; 0 leaves out the projection, as in the paper.

    Input shape: `[batch, height, width, channels]`.
    Output shape: `[batch]`, float32.
    """

    def __init__(self, num_classes: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.input_spec = image_spec(self, input_shape)
        _, height, width, channels = input_shape
        if height is None or width is None:
            raise ValueError(
                "Head needs a known height and width, since it has a weight for each position. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.features = height * width * channels
        dtype = at_least_float32(self.compute_dtype)
        settings = {"kernel_initializer": normal(), "dtype": dtype}
        self.dense = keras.layers.Dense(1, name="dense", **settings)
        self.dense.build((None, self.features))
        if self.num_classes:
            settings |= {"kernel_initializer": normal(), "normalize": False, "name": "embedding"}
            self.embedding = SpectralEmbedding(self.num_classes, channels, **settings)
            self.embedding.build((None,))

    def call(self, inputs: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        images = tf.cast(inputs, at_least_float32(inputs.dtype))
        features = tf.reshape(images, [-1, self.features])
        logits = self.dense(features)[:, 0]
        if self.num_classes:
            sums = tf.reduce_sum(images, axis=(1, 2))
            logits += tf.reduce_sum(sums * self.embedding(labels), axis=1)
        return logits

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0],)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"num_classes": self.num_classes}


def multiplier(halvings: int) -> int:
    """How many times its channels at the image's end a network has `halvings` away from it."""
    return min(2**halvings, 16)


def normal() -> Any:
    """The paper's initializer. Keras' annotations of layers know initializers by name alone."""
    return keras.initializers.RandomNormal(stddev=0.02)


def deconvolution(filters: int, name: str) -> keras.layers.Layer:
    """Doubles the resolution."""
    settings = {"padding": "same", "kernel_initializer": normal(), "name": name}
    return keras.layers.Conv2DTranspose(filters, 5, 2, **settings)


def normalized_relu(resolution, num_classes, norm) -> list[keras.layers.Layer]:
    """Batch normalization, with the further arguments `norm`, and ReLU."""
    return [
        ConditionalBatchNormalization(num_classes, name=f"norm_{resolution}", **norm),
        keras.layers.ReLU(name=f"relu_{resolution}"),
    ]
