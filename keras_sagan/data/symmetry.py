"""Textures in which one half of the image determines the other, as a TFDS builder.

They test the claim that attention models long-range structure: most pixels are half an image away
from their counterparts. `metrics/coherence.py` measures exactly how well an image agrees.
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from keras_sagan.metrics.coherence import CLASSES, halves


@dataclasses.dataclass(kw_only=True)
class SymmetryConfig(tfds.core.BuilderConfig):
    """One set of textures."""

    image_size: int  # Height and width in pixels, a multiple of 16.
    count: int  # Number of images; their classes take turns.
    seed: int  # In [0, 2^31).
    name: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.name = f"{self.image_size}px_{self.count}_seed{self.seed}"


class Symmetry(tfds.core.GeneratorBasedBuilder):
    """Random textures with one half mirrored or repeated in the other; the class says how.

    The same configuration gives the same bits everywhere, because it only adds integers, the raw
    output of a counter-based generator.
    """

    builder_config: SymmetryConfig
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Four classes."}  # noqa: RUF012 (as in the base class)

    def _info(self):
        size = self.builder_config.image_size
        image = tfds.features.Image(shape=(size, size, 3))
        label = tfds.features.ClassLabel(names=CLASSES)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
            homepage="https://arxiv.org/abs/1805.08318",
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        settings = self.builder_config
        for i in range(settings.count):
            image, label = texture(settings.image_size, settings.seed, i), i % len(CLASSES)
            first, second = halves(image, label)
            second[:] = first
            yield i, {"image": image, "label": label}


def texture(size: int, seed: int, number: int) -> np.ndarray:
    """Blots of random colors in two sizes, uint8 `[size, size, 3]`; all parts are independent.

    `size` is in pixels, a multiple of 16; `number` is the image's in the set.
    """
    raw = np.random.Philox(key=[seed, number]).random_raw((8 * 8 + 16 * 16) * 3 // 8)
    values = raw.astype("<u8").view(np.uint8).astype(np.int32)
    large, small = np.split(values, [8 * 8 * 3])
    blots = 2 * enlarge(large.reshape(8, 8, 3), size) + enlarge(small.reshape(16, 16, 3), size)
    return (blots // 3).astype(np.uint8)


def enlarge(cells: np.ndarray, size: int) -> np.ndarray:
    """Scales `[n, n, 3]` to `[size, size, 3]` with edges softened over a cell, in integers."""
    factor = size // len(cells)
    pixels = cells.repeat(factor, axis=0).repeat(factor, axis=1)
    for axis in (0, 1):
        shift = factor // 2
        pixels = (np.roll(pixels, shift, axis) + 2 * pixels + np.roll(pixels, -shift, axis)) // 4
    return pixels
