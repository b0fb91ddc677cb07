"""Prepares an image set so that training starts immediately. Otherwise, train prepares it.

python -m keras_sagan.prepare --dataset=folder:photos --image_size=64 --preview=grid.png
python -m keras_sagan.prepare --dataset=cifar10 --image_size=32

Accepts all flags of train, so both can share a flag file, but uses only those about the data.
"""

import os

import numpy as np
from absl import flags

from keras_sagan import commands
from keras_sagan.data.prepared import Prepared, prepare
from keras_sagan.data.report import describe_set
from keras_sagan.data.versions import remove_versions
from keras_sagan.visual.grid import make_grid, save_png

flags.DEFINE_string("preview", None, "PNG file for a grid of some prepared images.")
flags.DEFINE_bool(
    "clean",
    False,
    "Remove the other versions of this set, made from earlier images. Runs that began with one of "
    "them then resume only with --allow_config_change=dataset.",
)
commands.define_config_flags()

# Columns of the preview, and the most rows.
COLUMNS, ROWS = 8, 10


def main():
    config = commands.config_from_flags()
    # TensorFlow only reads files here, and another process may be training on the GPU.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    prepared = prepare(config.image_set, config.data_dir, config.max_bad_fraction, renew=True)
    prepared.verify()
    for line in describe_set(prepared.record, config.image_set.preprocessing):
        print(line)
    record = prepared.record
    print(f"source: {record['source']}, content hash {record['sha256'][:12]}")
    print(f"prepared in {prepared.directory}")
    if flags.FLAGS.clean:
        for path, size in remove_versions(config.image_set, prepared.directory):
            print(f"removed: {path}, {size / 2**20:,.1f} MiB")
    if flags.FLAGS.preview:
        draw_preview(prepared)


def draw_preview(prepared: Prepared) -> None:
    """Draws one row per class, or a square of a set with one class."""
    classes = range(min(prepared.num_classes, ROWS))
    count = COLUMNS if prepared.num_classes > 1 else COLUMNS**2
    rows = [first_images(prepared, label, count) for label in classes]
    grid = make_grid(np.concatenate(rows), COLUMNS)
    output = commands.write("preview", lambda path: save_png(grid, path, prepared.images.shape[1]))
    names = ", ".join(prepared.record["classes"][label] for label in classes)
    print(f"preview, one row each of {names}: {output}")


def first_images(prepared: Prepared, label: int, count: int) -> np.ndarray:
    """The first `count` images of a class, padded with black ones."""
    indices = np.flatnonzero(prepared.labels == label)[:count]
    images = np.zeros((count, *prepared.images.shape[1:]), np.uint8)
    images[: len(indices)] = prepared.images[indices]
    return images


if __name__ == "__main__":
    commands.run(main, __doc__)
