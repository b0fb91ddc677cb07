"""Uniform noise, for measuring speed without a data set."""

from collections.abc import Iterator

import numpy as np

from keras_sagan.data.source import Example, ImageSource
from keras_sagan.values import ImageSet

COUNT = 1024


def synthetic_source(image_set: ImageSet) -> ImageSource:
    """`COUNT` images of uniform noise, in `num_classes` classes, or in 10 if that is -1 or 0."""
    classes = image_set.num_classes if image_set.num_classes > 0 else 10

    def examples() -> Iterator[Example]:
        rng = np.random.default_rng(0)
        for i in range(COUNT):
            image = rng.integers(0, 256, image_set.image_shape, np.uint8)
            yield Example(str(i), image, i % classes)

    record = {"source": "uniform noise, seed 0", "version": None, "split": None}
    return ImageSource(record, tuple(map(str, range(classes))), COUNT, examples)
