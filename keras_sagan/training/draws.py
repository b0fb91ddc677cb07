"""The random numbers of an update, drawn outside of compiled code."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.layers import Augment
from keras_sagan.sampling import noise


class Draws(NamedTuple):
    """The random numbers of an update: a replica's share of the whole batch's."""

    latents: tf.Tensor  # float32 `[b, z_dim]`.
    labels: tf.Tensor  # int32 `[b]`, the classes of the fakes.
    flips: tf.Tensor  # bool `[b]`, whether a real image is mirrored.
    real: tuple[tf.Tensor, ...]  # The `draws` of `Augment` for real images; empty without it.
    fake: tuple[tf.Tensor, ...]  # The same for fakes, independent of `real`.


class Conditions(NamedTuple):
    """On what an update depends besides its batch and its random numbers."""

    levels: dict[str, tf.Tensor]  # What adapts to D's logits, of `make_adaptive`.
    is_first: bool = True  # Whether its images are the first part of the batch, which advances u.
    penalized: bool = False  # Whether D's loss has the R1 penalty.


class Dealer:
    """Draws for a run.

    Args:
        config: of the run.
        class_weights: the relative frequency of each class among fakes, positive ints.
        augment: the layer of `make_augment`.
        rollbacks: how often the run has rolled back.
    """

    def __init__(
        self, config: Config, class_weights: Sequence[int], augment: Augment | None, rollbacks: int
    ) -> None:
        self.size, self.z_dim, self.class_weights = config.batch_size, config.z_dim, class_weights
        self.seed, self.augment = (rollbacks, config.seed), augment
        self.image_shape = config.image_set.image_shape

    def draw(self, step: tf.Tensor, purpose: int) -> Draws:
        """The numbers of an update; call it on every replica.

        Every replica draws for the whole batch, so a step does not depend on the number of
        replicas.

        Args:
            step: int64 scalar, the number of steps done before.
            purpose: of `noise`.
        """
        seed = noise.derive_seed(tf.constant(self.seed), step, purpose)
        latents, labels = noise.latents_and_labels(seed, self.size, self.z_dim, self.class_weights)
        real, fake = (self.draw_augmentation(seed, number) for number in noise.AUGMENTED)
        whole = Draws(latents, labels, noise.coins(seed, self.size), real, fake)
        replicas = tf.distribute.get_replica_context()
        share = self.size // replicas.num_replicas_in_sync
        start = replicas.replica_id_in_sync_group * share

        def share_of(drawn):
            return tf.ensure_shape(drawn[start : start + share], [share, *drawn.shape[1:]])

        return tf.nest.map_structure(share_of, whole)

    def draw_augmentation(self, seed: tf.Tensor, number: int) -> tuple[tf.Tensor, ...]:
        """The `draws` of `Augment` for the whole batch; empty without augmentation."""
        if not self.augment:
            return ()
        shape = self.image_shape if self.augment.needs_noise else None
        seed = noise.derive_seed(seed, number)
        return noise.augmentation(seed, self.size, self.augment.uniforms, shape)


def make_augment(config: Config) -> Augment | None:
    """The layer that changes what D sees; None without augmentation."""
    if not config.augmentations:
        return None
    return Augment(config.augmentations, config.augment_p, dtype="float32")
