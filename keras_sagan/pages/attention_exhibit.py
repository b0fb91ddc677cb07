"""What the attention of a run's checkpoints looks at, gathered for a page or a figure."""

import numpy as np

from keras_sagan import networks
from keras_sagan.pages.attention_page import Exhibit, View, pack
from keras_sagan.runs.checkpoint_files import step_of
from keras_sagan.runs.checkpoints import restore_networks
from keras_sagan.sampling.sampler import latents_of, make_sampler
from keras_sagan.visual.maps import attention_maps

GENERATED, REAL = "generated", "real"


class Networks:
    """The two networks of a run, with the weights of one checkpoint after the other.

    Args:
        config: `Config` of the run.
        ema: bool, whether the generator has the averaged weights.
    """

    def __init__(self, config, ema):
        self.generator = networks.generator(config)
        self.discriminator = networks.discriminator(config)
        self.sample = make_sampler(self.generator)
        self.generator_name = "ema_generator" if ema else "generator"

    def read(self, path):
        """Takes the weights of a checkpoint.

        Raises:
            RunError: if it cannot be read or has other networks.
        """
        named = {self.generator_name: self.generator, "discriminator": self.discriminator}
        restore_networks(path, **named)


def latents_and_labels(points, z_dim):
    """A latent `[n, z_dim]` and a label `[n]` for each (label, seed, truncation)."""
    latents = [latents_of(seed, 1, z_dim, truncation)[0] for _, seed, truncation in points]
    return np.stack(latents), np.array([label for label, *_ in points], np.int32)


def make_exhibit(run, config, paths, points, ema, prepared):
    """The `Exhibit` of checkpoints, but for `facts`.

    Args:
        run: `RunDirectory`.
        config: its `Config`.
        paths: of the checkpoints, in the order of their steps.
        points: list of (label, seed, truncation or None), one for each image.
        ema: bool, whether the generator has the averaged weights.
        prepared: `Prepared`, for the real images and the names of classes; None leaves them out.
    """
    both = Networks(config, ema)
    latents, labels = latents_and_labels(points, config.z_dim)
    images, captions = {GENERATED: []}, {GENERATED: captions_of(points, config, prepared)}
    if prepared:
        indices = real_like(prepared.labels, labels, config.num_classes)
        images[REAL] = [prepared.images[indices]]
        captions[REAL] = [class_name(label, prepared) for label in prepared.labels[indices]]
    seen = {}
    for path in paths:
        both.read(path)
        images[GENERATED].append(both.sample(latents, labels))
        newest = {group: of_steps[-1] for group, of_steps in images.items()}
        for key, gamma, maps in look(both, latents, labels, newest):
            seen.setdefault(key, []).append((gamma, pack(maps)))
    views = [View(*key, *map(list, zip(*pairs, strict=True))) for key, pairs in seen.items()]
    title = f"Where the attention of {run.path.resolve().name} looks"
    return Exhibit(title, [], [*map(step_of, paths)], images, captions, views, gamma_curves(run))


def look(both, latents, labels, images):
    """Yields name and group of a `View`, gamma and maps, for each layer and group of images.

    The generator's layers come first, from its images to its latents.
    """
    maps = attention_maps(both.generator, latents, labels)
    for name, found in reversed(maps.items()):
        key = layer_name("Generator", *found.shape[1:3]), GENERATED
        yield key, gamma(both.generator, name), found
    for group, levels in images.items():
        # Of real images the labels are those that `real_like` chose by these.
        inputs = levels.astype(np.float32) / 127.5 - 1
        maps = attention_maps(both.discriminator, inputs, labels)
        for name, found in maps.items():
            layer = layer_name("Discriminator", *found.shape[1:3])
            yield (f"{layer}, {group}", group), gamma(both.discriminator, name), found


def layer_name(network, height, width):
    return f"{network}, {height} \N{MULTIPLICATION SIGN} {width}"


def gamma(network, layer):
    return float(getattr(network, layer).gamma.numpy())


def real_like(real_labels, labels, num_classes):
    """Indices `[n]` of real images of the classes `labels`, each image once if there are enough."""
    real_labels = np.asarray(real_labels)
    taken, indices = {}, []
    for label in labels if num_classes else np.zeros_like(labels):
        own = np.flatnonzero(real_labels == label) if num_classes else np.arange(len(real_labels))
        place = taken.get(label, 0)
        indices.append(own[place % len(own)])
        taken[label] = place + 1
    return np.array(indices)


def captions_of(points, config, prepared):
    """What tells generated images apart."""
    captions = []
    for label, seed, truncation in points:
        parts = [class_name(label, prepared)] if config.num_classes else []
        parts.append(f"seed {seed}")
        if truncation is not None:
            parts.append(f"truncation {truncation:g}")
        captions.append(", ".join(parts))
    return captions


def class_name(label, prepared):
    name = prepared.record["classes"][label] if prepared else str(label)
    return f"class {name}" if name.isdecimal() else name


def gamma_curves(run):
    """Gamma of each attention layer over training: name to a list of (step, gamma)."""
    curves = {}
    for row in run.rows("train.jsonl"):
        for key, value in row.items():
            if key.startswith("gamma/"):
                network, _, resolution = key.removeprefix("gamma/").split("_")
                name = {"g": "Generator", "d": "Discriminator"}[network]
                label = layer_name(name, resolution, resolution)
                curves.setdefault(label, []).append((row["step"], value))
    return curves
