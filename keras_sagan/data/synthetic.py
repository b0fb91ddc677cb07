"""Images of uniform noise, for measuring speed without a data set."""

import numpy as np

from keras_sagan.data.source import Example, Source

COUNT = 1024


def synthetic_source(config):
    """`COUNT` images at the size and with the channels of `config`; 10 classes unless it says."""
    classes = config.num_classes if config.num_classes > 0 else 10
    shape = (config.image_size, config.image_size, config.image_channels)

    def examples():
        rng = np.random.default_rng(0)
        for i in range(COUNT):
            yield Example(str(i), rng.integers(0, 256, shape, np.uint8), i % classes)

    record = {"source": "uniform noise, seed 0", "version": None, "split": None}
    return Source(record, tuple(map(str, range(classes))), COUNT, examples)
