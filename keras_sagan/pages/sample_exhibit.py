"""What a page of samples shows of a run's generator."""

import numpy as np
import tensorflow as tf

from keras_sagan.data.prepared import prepare
from keras_sagan.errors import UsageError
from keras_sagan.evaluation.neighbors import with_reference
from keras_sagan.evaluation.scoring import make_extractor
from keras_sagan.metrics.protocol import PROTOCOLS
from keras_sagan.pages.sample_page import Samples
from keras_sagan.sampling.sampler import latents_between, latents_of_seeds, make_sampler

# Bounds of the latents; one normal number in 16,000 is beyond the last.
TRUNCATIONS = (0.25, 0.5, 1.0, 2.0, 4.0)
# From one seed to another, and real images beside a sample.
FRAMES, NEIGHBORS = 17, 4


def page_samples(run, config, generator, labels, seeds, ends, extractor, about):
    """The `Samples` of a page.

    Args:
        run: `RunDirectory`.
        config: its `Config`, with the `data_dir` to use.
        generator: restored.
        labels: ints, the classes; of a generator without classes one label, which it ignores.
        seeds: ints.
        ends: two seeds.
        extractor: "classifier", "inception:PATH", or None: a classifier if there are classes.
        about: str, of which step the generator is.

    Raises:
        UsageError: if the data are not those of the run, or the extractor does not fit them.
    """
    prepared = prepare(config.image_set, config.data_dir, config.max_bad_fraction)
    run.check_data(prepared.record)
    network, features = feature_network(extractor, prepared, config.data_dir)
    names = prepared.record["classes"]
    sample = make_sampler(generator)

    def images(latents_at):
        """`[C, T, n, H, W, channels]` of a function of a truncation to latents `[n, z_dim]`."""
        latents = np.concatenate([latents_at(each) for each in TRUNCATIONS])
        parts = [sample(latents, np.full(len(latents), label, np.int32)) for label in labels]
        drawn = np.stack(parts)
        return drawn.reshape(len(labels), len(TRUNCATIONS), -1, *drawn.shape[2:])

    drawn = images(lambda truncation: latents_of_seeds(seeds, config.z_dim, truncation))
    nearest, reference = with_reference(
        drawn.reshape(-1, *drawn.shape[3:]),
        prepared.images,
        network and network.features,
        NEIGHBORS,
        config.flip,
    )
    mirrors = ", mirrored at random: a mirror image counts as the image" if config.flip else ""
    return Samples(
        run=run.path.resolve().name,
        about=f"{about} Trained on {len(prepared.images):,} images of {config.dataset}{mirrors}.",
        classes=[names[label] for label in labels] if config.num_classes else [],
        truncations=TRUNCATIONS,
        seeds=seeds,
        ends=ends,
        images=drawn,
        frames=images(lambda bound: latents_between(ends, FRAMES, config.z_dim, bound)),
        real=prepared.images,
        real_names=[names[label] for label in prepared.labels] if len(names) > 1 else None,
        neighbors=nearest,
        reference=reference,
        features=features,
    )


def feature_network(name, prepared, data_dir):
    """The `Extractor`, or None without one, and a sentence on the distance that it makes."""
    if name is None and prepared.num_classes < 2:
        return None, (
            "There is no distance of features: these data have no classes that a classifier could "
            "learn. sample --extractor=inception:PATH takes another network."
        )
    try:
        network = make_extractor(
            tf.distribute.get_strategy(),
            name or "classifier",
            PROTOCOLS["tfgan"],
            prepared,
            data_dir,
        )
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    kind = "a classifier of these images" if network.labels else "a network of other images"
    return network, (
        f"Feature distance is the Euclidean distance of what {kind} ({network.name}) makes of two "
        "images before its last layer. It is small for images of one kind, whether copied or not."
    )
