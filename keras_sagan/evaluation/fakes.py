"""Generated images by their global number, and what an extractor makes of images."""

import functools

import numpy as np
import tensorflow as tf

from keras_sagan.errors import RunError
from keras_sagan.evaluation.scores import FeatureSet
from keras_sagan.layers import ConditionalBatchNormalization
from keras_sagan.progress import Progress
from keras_sagan.sampling import noise

# Images that are drawn together. A constant, since it decides which latents an image has.
BLOCK = 1000
# Batches that make standing statistics, as in BigGAN-PyTorch, and images in each.
STANDING_BATCHES, STANDING_BATCH = 100, 64


def latents_and_labels(seed, start, count, config, labels):
    """Those of the images `start`, ..., `start + count - 1` of an endless sequence.

    A function of an image's number and the seed alone, so a score depends neither on batches nor
    on replicas, and the first thousand of many images are the thousand of few.

    Args:
        seed: int.
        start: int.
        count: int.
        config: `Config`.
        labels: "uniform", or "balanced": the classes in turn.

    Returns:
        float32 `[count, z_dim]` and int32 `[count]`.
    """
    numbers = range(start // BLOCK, (start + count - 1) // BLOCK + 1)
    blocks = [draw(seed, number, config.z_dim, max(config.num_classes, 1)) for number in numbers]
    skip = start - numbers[0] * BLOCK
    latents, drawn = (
        np.concatenate(parts)[skip : skip + count] for parts in zip(*blocks, strict=True)
    )
    if labels == "balanced":
        drawn = np.arange(start, start + count, dtype=np.int32) % max(config.num_classes, 1)
    return latents, drawn


@functools.lru_cache(maxsize=2)
def draw(seed, number, z_dim, classes):
    # On the CPU: other devices round the normal numbers otherwise.
    with tf.device("CPU:0"):
        folded = noise.derive_seed(tf.constant([0, seed]), noise.EVALUATION, number)
        latents = tf.random.stateless_normal(
            [BLOCK, z_dim], noise.derive_seed(folded, 0), alg="philox"
        )
        labels = tf.random.stateless_uniform(
            [BLOCK], noise.derive_seed(folded, 1), 0, classes, tf.int32, alg="philox"
        )
    return latents.numpy(), labels.numpy()


def standing_statistics(generator, config, seed):
    """Replaces the moving statistics by the means over many batches of the present weights.

    BigGAN, Brock et al. 2019, https://arxiv.org/abs/1809.11096, appendix.
    """
    layers = [
        layer
        for layer in generator._flatten_layers()
        if isinstance(layer, ConditionalBatchNormalization)
    ]
    for i in range(STANDING_BATCHES):
        start = i * STANDING_BATCH
        latents, labels = latents_and_labels(seed, start, STANDING_BATCH, config, "uniform")
        for layer in layers:
            layer.momentum = i / (i + 1)  # Which makes it the mean of all batches so far.
        generator(latents, labels, training=True)


def fake_features(strategy, generator, extractor, config, settings):
    """The features of `settings.count` generated images, as a `FeatureSet`.

    Args:
        strategy: `tf.distribute.Strategy`.
        generator: made in its scope.
        extractor: `Extractor`, likewise.
        config: `Config`.
        settings: object with `seed`, `count`, `batch_size` and `batch_norm`: "moving", "standing"
            (both by the generator's statistics) or "batch".
    """

    def network(latents, labels):
        images = generator(latents, labels, training=settings.batch_norm == "batch")
        # Only a metric that looks at the images themselves needs them.
        return *extractor(images), *([images] if config.is_symmetry else [])

    def batch(start, count):
        return latents_and_labels(settings.seed, start, count, config, extractor.protocol.labels)

    _, labels = batch(0, settings.count)
    features, logits, *images = extract(
        strategy, network, batch, settings.count, settings.batch_size, "generated image"
    )
    labels = labels if config.num_classes else None
    return FeatureSet(features, logits, labels, images=images[0] if images else None)


def real_features(strategy, extractor, images, batch_size):
    """The features `[N, d]` of images, uint8 `[N, H, W, C]`."""

    def network(levels):
        return extractor(tf.cast(levels, tf.float32) * (2 / 255) - 1)

    def batch(start, count):
        part = images[start : start + count]
        # The last batch is filled up with its first image, and cut below.
        return (np.concatenate([part, np.repeat(part[:1], count - len(part), axis=0)]),)

    return extract(strategy, network, batch, len(images), batch_size, "real image")[0]


def extract(strategy, network, batch, count, batch_size, title):
    """`network` over `count` images, in equal batches over the replicas of all processes.

    Args:
        strategy: `tf.distribute.Strategy`.
        network: function of a replica's share of a batch to features, logits, and perhaps more.
        batch: function of start and count to arrays of that many rows.
        count: int, images.
        batch_size: int, over all replicas.
        title: str, what the progress counts.

    Returns:
        Features `[count, d]`, logits `[count, classes]` and what else `network` gives, float32, in
        the order of the images.

    Raises:
        RunError: if one of them is not finite.
    """
    replicas = strategy.num_replicas_in_sync
    share = batch_size // replicas

    @tf.function
    def step(*arrays):
        outputs = strategy.run(network, arrays)
        return [strategy.gather(output, axis=0) for output in outputs]

    results = []
    starts = range(0, count, batch_size)
    with Progress(title, count, "images") as progress:
        for start in starts:
            shares = [
                strategy.experimental_distribute_values_from_function(
                    lambda context, array=array: tf.constant(
                        array[context.replica_id_in_sync_group * share :][:share]
                    )
                )
                for array in batch(start, batch_size)
            ]
            results.append([output.numpy() for output in step(*shares)])
            progress.update(min(batch_size, count - start))
    arrays = [np.concatenate(parts)[:count] for parts in zip(*results, strict=True)]
    for name, values in zip(("features", "logits"), arrays[:2], strict=True):
        bad = np.count_nonzero(~np.isfinite(values).all(axis=1))
        if bad:
            raise RunError(f"expected finite {name}. Received: NaN or infinity for {bad} images")
    return arrays
