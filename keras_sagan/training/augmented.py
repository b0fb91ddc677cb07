"""Images as an augmented run's discriminator sees them, for a grid."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.sampling import noise
from keras_sagan.sampling.sampler import to_uint8
from keras_sagan.training.draws import make_augment

# Real images, and as many samples.
COUNT = 32


def make_augmented(
    config: Config,
    adaptive: dict[str, tf.Variable],
    real: np.ndarray,
    sample: Callable[[int], tuple[np.ndarray, np.ndarray]],
) -> Callable[[], np.ndarray] | None:
    """Makes a function that augments 32 real images and 32 samples as training does at that time.

    Args:
        config: of the run.
        adaptive: of its state.
        real: uint8 `[n, H, W, C]`; if there are fewer than 32, they repeat.
        sample: function that returns as many samples as it is asked for, with their labels.

    Returns:
        A function that returns uint8 `[64, H, W, C]`, each time with the same random numbers. None
        without augmentation.
    """
    augment = make_augment(config)
    if not augment:
        return None
    shape = config.image_set.image_shape
    seed = noise.derive_seed(tf.constant([0, config.seed]), noise.SAMPLES, noise.AUGMENTED[0])
    noise_shape = shape if augment.needs_noise else None
    draws = noise.augmentation(seed, 2 * COUNT, augment.uniforms, noise_shape)
    known = np.resize(real[:COUNT], (COUNT, *shape))

    def augmented():
        samples, _ = sample(COUNT)
        images = tf.cast(np.concatenate([known, samples]), tf.float32) * (2 / 255) - 1
        return to_uint8(augment(images, draws, adaptive.get("augment_p"))).numpy()

    return augmented
