"""The attention of a run's checkpoints, gathered for a page or a figure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_sagan.data.prepared import Prepared
from keras_sagan.networks.network import Network
from keras_sagan.pages.attention_page import Exhibit, View, pack_maps
from keras_sagan.runs.checkpoints import Reading, restore_networks
from keras_sagan.sampling.sampler import latents_of, make_sampler
from keras_sagan.visual.maps import attention_maps

GENERATED, REAL = "generated", "real"


class Point(NamedTuple):
    """What one generated image is made from."""

    label: int
    seed: int
    truncation: float | None


class NetworkPair:
    """Generator and discriminator of a run, restored from one checkpoint after another.

    With `ema` the generator gets the averaged weights.
    """

    def __init__(self, generator: Network, discriminator: Network, ema: bool):
        self.generator, self.discriminator = generator, discriminator
        self.sample = make_sampler(generator)
        self.generator_name = "ema_generator" if ema else "generator"

    def restore_weights(self, path: str) -> int:
        """Restores a checkpoint and returns its step.

        Raises:
            RunError: if it cannot be read or has other networks.
        """
        named = {self.generator_name: self.generator, "discriminator": self.discriminator}
        return restore_networks(path, **named)

    def draw_inputs(self, points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
        """A latent `[n, z_dim]` and a label `[n]` for each point."""
        (z_dim,) = self.generator.example_shape
        latents = [latents_of(seed, 1, z_dim, truncation)[0] for _, seed, truncation in points]
        return np.stack(latents), np.array([point.label for point in points], np.int32)


def gather_exhibit(
    pair: NetworkPair, readings: Iterable[Reading], points: Sequence[Point], prepared, curves: dict
) -> Exhibit:
    """The `Exhibit` of some checkpoints, in the order of their steps.

    Each of `readings` restores `pair` when it is taken, and has the step as its value. `prepared`
    has the real images and the names of classes; None leaves them out. `curves` are the run's
    `gamma_curves`.
    """
    num_classes = pair.generator.num_classes
    latents, labels = pair.draw_inputs(points)
    images = {GENERATED: []}
    captions = {GENERATED: [caption_of(point, num_classes, prepared) for point in points]}
    if prepared:
        indices = real_like(prepared.labels, labels, num_classes)
        images[REAL] = [prepared.images[indices]]
        captions[REAL] = [class_name(label, prepared) for label in prepared.labels[indices]]
    seen, steps = {}, []
    for reading in readings:
        steps.append(reading.value)
        images[GENERATED].append(pair.sample(latents, labels))
        newest = {group: of_steps[-1] for group, of_steps in images.items()}
        for key, gamma, maps in layer_maps(pair, latents, labels, newest):
            seen.setdefault(key, []).append((gamma, pack_maps(maps)))
    views = [View(*key, *map(list, zip(*pairs, strict=True))) for key, pairs in seen.items()]
    return Exhibit(steps, images, captions, views, curves)


def layer_maps(pair, latents, labels, images) -> Iterator:
    """Yields name and group of a `View`, gamma and maps, for each layer and group of images.

    The generator's layers come first, from the image to the latent.
    """
    maps = attention_maps(pair.generator, latents, labels)
    for name, found in reversed(maps.items()):
        key = layer_name("Generator", *found.shape[1:3]), GENERATED
        yield key, gamma_of(pair.generator, name), found
    for group, levels in images.items():
        # `real_like` has chosen real images of the same labels.
        inputs = levels.astype(np.float32) / 127.5 - 1
        maps = attention_maps(pair.discriminator, inputs, labels)
        for name, found in maps.items():
            layer = layer_name("Discriminator", *found.shape[1:3])
            yield (f"{layer}, {group}", group), gamma_of(pair.discriminator, name), found


def layer_name(network: str, height: int | str, width: int | str) -> str:
    return f"{network}, {height} \N{MULTIPLICATION SIGN} {width}"


def gamma_of(network: Network, layer: str) -> float:
    return float(getattr(network, layer).gamma.numpy())


def real_like(real_labels: Any, labels: Any, num_classes: int) -> np.ndarray:
    """Indices `[n]` of real images of the classes `labels`, without repeats where possible."""
    real_labels = np.asarray(real_labels)
    taken, indices = {}, []
    for label in labels if num_classes else np.zeros_like(labels):
        own = np.flatnonzero(real_labels == label) if num_classes else np.arange(len(real_labels))
        place = taken.get(label, 0)
        indices.append(own[place % len(own)])
        taken[label] = place + 1
    return np.array(indices)


def caption_of(point: Point, num_classes: int, prepared: Prepared | None) -> str:
    """What distinguishes a generated image from the others."""
    parts = [class_name(point.label, prepared)] if num_classes else []
    parts.append(f"seed {point.seed}")
    if point.truncation is not None:
        parts.append(f"truncation {point.truncation:g}")
    return ", ".join(parts)


def class_name(label: int, prepared: Prepared | None) -> str:
    name = prepared.record["classes"][label] if prepared else str(label)
    return f"class {name}" if name.isdecimal() else name


def gamma_curves(rows: Iterable[dict]) -> dict[str, list[tuple[int, float]]]:
    """Gamma of each attention layer over training, from the rows of `train.jsonl`."""
    curves = {}
    for row in rows:
        for key, value in row.items():
            if key.startswith("gamma/"):
                network, _, size = key.removeprefix("gamma/").split("_")
                name = layer_name({"g": "Generator", "d": "Discriminator"}[network], size, size)
                curves.setdefault(name, []).append((row["step"], value))
    return curves
