"""Prepares an image set for training, so that training starts at once; train does it by itself too.

python -m keras_sagan.prepare --dataset=folder:photos --image_size=64 --preview=grid.png
python -m keras_sagan.prepare --dataset=cifar10 --image_size=32

Takes all flags of train, so that one flag file serves both; those of images and data count.
"""

import os

import numpy as np
from absl import flags

from keras_sagan import commands
from keras_sagan.data.prepared import prepare
from keras_sagan.visual.grid import make_grid, save_png

flags.DEFINE_string("preview", None, "PNG file to draw some of the prepared images in.")
commands.define_config_flags()

# Of the preview: columns, and at most so many rows.
COLUMNS, ROWS = 8, 10


def main():
    config = commands.config_from_flags()
    # TensorFlow only reads files here: a GPU that somebody trains on stays untouched.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    prepared = prepare(config, renew=True)
    prepared.verify()
    record = prepared.record
    print(f"{record['count']:,} images of {len(record['classes'])} classes: {prepared.directory}")
    print(f"source: {record['source']}, content hash {record['sha256'][:12]}")
    if record["left_out"]:
        print(f"left out: {len(record['left_out'])} images, named in dataset.json")
    if flags.FLAGS.preview:
        draw(prepared)


def draw(prepared):
    """One row a class, or a square of a set with one class."""
    classes = range(min(prepared.num_classes, ROWS))
    count = COLUMNS if prepared.num_classes > 1 else COLUMNS**2
    rows = [first_of(prepared, label, count) for label in classes]
    grid = make_grid(np.concatenate(rows), COLUMNS)
    output = commands.write("preview", lambda path: save_png(grid, path, prepared.images.shape[1]))
    names = ", ".join(prepared.record["classes"][label] for label in classes)
    print(f"preview, a row each of {names}: {output}")


def first_of(prepared, label, count):
    """The first `count` images of a class; black ones where it has fewer."""
    indices = np.flatnonzero(prepared.labels == label)[:count]
    images = np.zeros((count, *prepared.images.shape[1:]), np.uint8)
    images[: len(indices)] = prepared.images[indices]
    return images


if __name__ == "__main__":
    commands.run(main, __doc__)
