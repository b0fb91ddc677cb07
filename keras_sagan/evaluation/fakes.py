"""Features of generated images, which are numbered so that scores do not depend on batches."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_sagan.evaluation.extraction import Batches, extract_features
from keras_sagan.evaluation.scores import FeatureSet
from keras_sagan.extractors.extractor import Extractor
from keras_sagan.layers import ConditionalBatchNormalization
from keras_sagan.networks.network import Network
from keras_sagan.sampling import noise

# Images drawn together. A constant, because it decides which latents an image has.
BLOCK = 1000
# Batches behind standing statistics, as in BigGAN-PyTorch, and images in each.
STANDING_BATCHES, STANDING_BATCH = 100, 64


@dataclasses.dataclass(frozen=True)
class Inputs:
    """An endless sequence of latents and labels, one pair for each image number.

    A pair depends only on the seed and its number. A score therefore depends neither on batches nor
    on replicas, and the first thousand of many images are the same as a thousand images.
    """

    seed: int
    z_dim: int  # Length of a latent.
    num_classes: int  # Classes of the labels; 0 gives label 0 only.

    def draw_pairs(self, start: int, count: int, labels: str) -> tuple[np.ndarray, np.ndarray]:
        """Latents float32 `[count, z_dim]` and labels int32 `[count]`, from number `start` on.

        Args:
            start: number of the first image.
            count: images.
            labels: "uniform" draws labels at random; "balanced" cycles through the classes.
        """
        classes = max(self.num_classes, 1)
        numbers = range(start // BLOCK, (start + count - 1) // BLOCK + 1)
        blocks = [draw_block(self.seed, number, self.z_dim, classes) for number in numbers]
        skip = start - numbers[0] * BLOCK
        pairs = zip(*blocks, strict=True)
        latents, drawn = (np.concatenate(parts)[skip : skip + count] for parts in pairs)
        if labels == "balanced":
            drawn = np.arange(start, start + count, dtype=np.int32) % classes
        return latents, drawn


@functools.lru_cache(maxsize=2)
def draw_block(seed: int, number: int, z_dim: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Latents and labels of block `number`, `BLOCK` images long."""
    # On the CPU: other devices round normal numbers differently.
    with tf.device("CPU:0"):
        block_seed = noise.derive_seed(tf.constant([0, seed]), noise.EVALUATION, number)
        seeds = [noise.derive_seed(block_seed, purpose) for purpose in (0, 1)]
        latents = tf.random.stateless_normal([BLOCK, z_dim], seeds[0], alg="philox")
        labels = tf.random.stateless_uniform([BLOCK], seeds[1], 0, classes, tf.int32, alg="philox")
    return latents.numpy(), labels.numpy()


def set_standing_statistics(generator: Network, inputs: Inputs) -> None:
    """Replaces moving statistics by means over many batches of the current weights.

    Source: BigGAN, Brock et al. 2019, https://arxiv.org/abs/1809.11096, appendix.
    """
    kind = ConditionalBatchNormalization
    layers = [layer for layer in generator._flatten_layers() if isinstance(layer, kind)]
    for i in range(STANDING_BATCHES):
        latents, labels = inputs.draw_pairs(i * STANDING_BATCH, STANDING_BATCH, "uniform")
        for layer in layers:
            layer.momentum = i / (i + 1)  # This makes it the mean of all batches so far.
        generator(latents, labels, training=True, advance_u=False)


@dataclasses.dataclass(frozen=True)
class FakeSettings:
    """Which generated images are scored, and how they are computed."""

    count: int
    batch_size: int  # Images at a time, over all replicas.
    # Statistics of batch normalization: the generator's own for "moving" and "standing",
    # each batch's for "batch".
    batch_norm: str
    keeps_images: bool  # Whether the images themselves are kept, for metrics that look at them.


def fake_features(
    strategy, generator: Callable, extractor: Extractor, inputs: Inputs, settings: FakeSettings
) -> FeatureSet:
    """Features of generated images; `generator` and `extractor` belong to `strategy`'s scope."""

    def network(latents, labels):
        training = settings.batch_norm == "batch"
        images = generator(latents, labels, training=training, advance_u=False)
        return *extractor(images), *([images] if settings.keeps_images else [])

    def read_batch(start, count):
        return inputs.draw_pairs(start, count, extractor.protocol.labels)

    batches = Batches("generated image", settings.count, read_batch)
    features, logits, *images = extract_features(strategy, network, batches, settings.batch_size)
    labels = read_batch(0, settings.count)[1] if inputs.num_classes else None
    return FeatureSet(features, logits, labels, images=images[0] if images else None)
