"""The images of a page of samples, and the real images nearest to them."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_sagan.data.prepared import Prepared
from keras_sagan.errors import UsageError
from keras_sagan.evaluation.neighbors import NeighborSearch
from keras_sagan.evaluation.scorer import make_extractor
from keras_sagan.extractors.inception import MissingNetworkError
from keras_sagan.metrics.protocol import PROTOCOLS
from keras_sagan.networks.network import Network
from keras_sagan.pages.sample_page import Samples, Selection
from keras_sagan.sampling.sampler import latents_between, latents_of_seeds, make_sampler
from keras_sagan.values import ExtractorChoice

# Bounds of the latents. One normal number in 16,000 exceeds the last.
TRUNCATIONS = (0.25, 0.5, 1.0, 2.0, 4.0)
# What a page calls the network of features, by what its logits are over.
KINDS = {
    "classes": "a classifier of these images",
    "rotations": "a network that tells how these images were rotated",
    "other": "a network trained on other images",
}
# Images from one seed to the other, and real images beside a sample.
FRAMES, NEIGHBORS = 17, 4


def gather_samples(
    generator: Network, selection: Selection, prepared: Prepared, features_of, mirror: bool
) -> Samples:
    """The `Samples` of a page.

    `features_of` is a function of uint8 images to features, for distances; None: none. `mirror`
    tells whether training mirrors images at random.
    """
    draw_images = make_drawer(generator, selection.labels)
    (z_dim,) = generator.example_shape
    drawn = draw_images(lambda bound: latents_of_seeds(selection.seeds, z_dim, bound))
    search = NeighborSearch(prepared.images, features_of, NEIGHBORS, mirror)
    nearest, references = search.find_with_references(drawn.reshape(-1, *drawn.shape[3:]))
    names = prepared.record["classes"]
    return Samples(
        selection=selection,
        classes=[names[label] for label in selection.labels] if generator.num_classes else [],
        truncations=TRUNCATIONS,
        images=drawn,
        frames=draw_images(lambda bound: latents_between(selection.ends, FRAMES, z_dim, bound)),
        real=prepared.images,
        real_names=[names[label] for label in prepared.labels] if len(names) > 1 else None,
        neighbors=nearest,
        references=references,
    )


def make_drawer(generator: Network, labels: list[int]) -> Callable:
    """A function of (a function of a truncation to latents `[n, z_dim]`) to images.

    It gives uint8 `[C, T, n, H, W, channels]` for C labels and T truncations.
    """
    sample = make_sampler(generator)

    def draw_images(latents_at):
        latents = np.concatenate([latents_at(bound) for bound in TRUNCATIONS])
        parts = [sample(latents, np.full(len(latents), label, np.int32)) for label in labels]
        drawn = np.stack(parts)
        return drawn.reshape(len(labels), len(TRUNCATIONS), -1, *drawn.shape[2:])

    return draw_images


def feature_space(
    choice: ExtractorChoice, prepared: Prepared, data_dir: str
) -> tuple[Callable, str]:
    """A function of uint8 images to features, and a sentence about it.

    Raises:
        UsageError: if the Inception network is missing, or the data do not suffice to train one.
    """
    strategy = tf.distribute.get_strategy()
    try:
        network = make_extractor(strategy, choice, PROTOCOLS["tfgan"], prepared, data_dir)
    except MissingNetworkError as error:
        raise UsageError(str(error)) from error
    return network.features, (
        "Feature distance is the Euclidean distance between the last hidden layers of "
        f"{KINDS[network.predicts]} ({network.name}) for two images. It is small for images of the "
        "same kind, whether they are copies or not."
    )
