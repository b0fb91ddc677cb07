"""What `SAGAN.score` compares with: real images, and the network and protocol of `evaluate`."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_sagan.api.feeding import check_images, check_label_array
from keras_sagan.config import Config
from keras_sagan.data.prepared import Prepared, prepare
from keras_sagan.devices.cluster import Cluster
from keras_sagan.evaluation.scorer import Scorer, Settings, make_scorer
from keras_sagan.metrics.protocol import NATIVE
from keras_sagan.sampling.sampler import to_uint8
from keras_sagan.values import LARGEST_SEED, CheckpointChoice, ExtractorChoice

# Images at a time for each replica, as `evaluate` has them.
BATCH = 64


class ArraySet(NamedTuple):
    """Real images in memory, with the parts of `Prepared` that scores read."""

    images: np.ndarray  # uint8 `[N, H, W, C]`.
    labels: np.ndarray  # int32 `[N]`; all 0 for images without classes.
    record: dict[str, Any]  # With `sha256`, as of a prepared set.
    summary: dict[str, Any]  # What records quote.


def make_native_scorer(
    reals: Any,
    strategy: tf.distribute.Strategy,
    num_images: int,
    seed: int,
    data_dir: str,
) -> Scorer:
    """The scorer that `evaluate` uses by default: a classifier or rotations of the real images.

    Args:
        reals: real images, a `Prepared` or an `ArraySet`.
        strategy: whose replicas share the work.
        num_images: generated images.
        seed: of their latents and labels.
        data_dir: folder of the network and of the features of real images, which the first
            call makes.
    """
    (choice, newest) = ExtractorChoice("auto"), CheckpointChoice(("newest",))
    settings = Settings(
        extractors=(choice,),
        protocol=NATIVE,
        count=num_images,
        batch_size=BATCH * strategy.num_replicas_in_sync,
        strategy="mirrored",
        replicas=0,
        checkpoint=newest,
        ema=True,
        batch_norm="moving",
        seed=seed,
        real_statistics=None,
        save_statistics=None,
    )
    return make_scorer(Cluster(strategy), choice, settings, reals, data_dir)


@contextlib.contextmanager
def exact_matrix_products() -> Iterator[None]:
    """Turns TensorFloat-32 off: with it, features would differ between devices."""
    settings = tf.config.experimental
    before = settings.tensor_float_32_execution_enabled()
    settings.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        settings.enable_tensor_float_32_execution(before)


def gather_reals(images: Any, labels: Any, config: Config, data_dir: str) -> Prepared | ArraySet:
    """The real images of `SAGAN.score`: a prepared set by its name, or arrays.

    Raises:
        ValueError: if arrays do not fit the model.
        UsageError: if a named set does not exist or does not fit.
    """
    if isinstance(images, str):
        if labels is not None:
            raise ValueError(f"expected no labels with the name of a set. Received: {images!r}")
        named = dataclasses.replace(config, dataset=images, split="train")
        return prepare(named.image_set, data_dir, config.max_bad_fraction)
    images = np.asarray(images)
    check_images(images, config.image_set.image_shape)
    if labels is None:
        labels = np.zeros(len(images), np.int32)
    else:
        labels = check_label_array(labels, len(images), config.num_classes or LARGEST_SEED)
    return as_set(images, labels)


def as_set(images: np.ndarray, labels: np.ndarray) -> ArraySet:
    """Arrays as a set. Equal content has the hash, and so the network, of a prepared set.

    Images that are ordered by class, or of which nobody knows, are shuffled: the network learns
    from the first four fifths.
    """
    if np.all(np.diff(labels) >= 0):
        order = np.random.default_rng(0).permutation(len(labels))
        images, labels = images[order], labels[order]
    if images.dtype != np.uint8:
        images = to_uint8(tf.cast(images, tf.float32)).numpy()
    content = hashlib.sha256(np.ascontiguousarray(images).data)
    content.update(labels.tobytes())
    record = {"dataset": "arrays", "count": len(images), "sha256": content.hexdigest()}
    return ArraySet(images, labels, record, record)
