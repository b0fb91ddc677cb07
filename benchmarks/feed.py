"""Speed and memory of the feed, compared with a plain pipeline of TensorFlow Datasets.

python -m benchmarks.feed
python -m benchmarks.feed --image_sizes=128 --rounds=9 --json

Both pipelines read the same 512 JPEG files of 500x375 pixels, a common size in ImageNet. The feed
reads the set that `prepare` made of them, from the page cache. The plain pipeline uses tfds.load
(which decodes), shuffle, map (which resizes), batch and prefetch. They alternate in one process.
"""

import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import tensorflow_datasets as tfds
from absl import flags
from PIL import Image

from benchmarks.measure.subprocesses import read_status_mib
from keras_sagan import commands
from keras_sagan.config import Config
from keras_sagan.errors import UsageError

flags.DEFINE_list("image_sizes", ["32", "64", "128"], "Sizes of images, in pixels.")
flags.DEFINE_integer("batch_size", 64, "Images in a batch.", lower_bound=1)
flags.DEFINE_integer(
    "rounds", 5, "Measurements of each pipeline; figures are medians.", lower_bound=1
)
flags.DEFINE_float("seconds", 2.0, "Length of a measurement.", lower_bound=0.1)
flags.DEFINE_bool("json", False, "Print one JSON object per line instead of text.")

COUNT = 512
# The memory of the feed is compared on two sets of 128-pixel images: their sizes, and batches read.
FEW, MANY, BATCHES = 1_000, 100_000, 300


def main():
    given = flags.FLAGS
    if not all(text.isdecimal() for text in given.image_sizes):
        raise UsageError(f"--image_sizes must be sizes, e.g. 32,64. Received: {given.image_sizes}")
    with tempfile.TemporaryDirectory() as folder:
        for size in map(int, given.image_sizes):
            feed = make_feed(folder, size, given.batch_size)
            plain = make_plain_pipeline(folder, size, given.batch_size)
            row = {"image_size": size, "batch_size": given.batch_size}
            print_row(row | compare_rates(measure_rates(feed, plain, given.batch_size)))
    few, many = (memory_in_subprocess(count) for count in (FEW, MANY))
    print_row({"memory_of_images": [FEW, MANY], "feed_anonymous_mib": [few, many]})


def print_row(row):
    text = "  ".join(f"{name}: {value}" for name, value in row.items())
    print(json.dumps(row) if flags.FLAGS.json else text, flush=True)


def make_photo(number):
    """Noise at all scales, like a photograph, uint8 `[375, 500, 3]`; 60 kB as a JPEG file."""
    rng, total = np.random.default_rng(number), np.zeros((375, 500, 3))
    for rows in (3, 6, 12, 24, 48, 96, 192):
        noise = Image.fromarray(rng.integers(0, 256, (rows, rows * 4 // 3, 3), np.uint8))
        total += np.asarray(noise.resize((500, 375), Image.Resampling.BICUBIC)) / rows**0.5
    return ((total - total.min()) / np.ptp(total) * 255).astype(np.uint8)


class JpegFiles(tfds.core.GeneratorBasedBuilder):
    """`COUNT` images that resemble photographs, without labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(pathlib.Path(dl_manager.download_dir))}

    def _generate_examples(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(COUNT):
            Image.fromarray(make_photo(i)).save(folder / f"{i}.jpg", quality=95)
            yield i, {"image": folder / f"{i}.jpg"}


def measure_rates(feed, plain, batch_size):
    """Images per second of two alternating pipelines: a pair per round."""
    return [
        [images_per_second(each, batch_size, flags.FLAGS.seconds) for each in (feed, plain)]
        for _ in range(flags.FLAGS.rounds)
    ]


def compare_rates(pairs):
    """Medians over rounds, and the ratios by round."""
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return {
        "feed_images_per_s": round(ours),
        "plain_images_per_s": round(theirs),
        "ratio": round(statistics.median(ratios), 1),
        "ratio_least_and_most": [round(ratios[0], 1), round(ratios[-1], 1)],
        "cpus": len(os.sched_getaffinity(0)),
    }


def make_feed(folder, image_size, batch_size):
    """The feed of training, on a prepared set below `folder`."""
    import tensorflow as tf

    from keras_sagan.data.batches import make_iterator
    from keras_sagan.data.prepared import prepare

    folders = {"data_dir": folder, "tfds_dir": folder}
    config = Config(dataset="jpeg_files", image_size=image_size, batch_size=batch_size, **folders)
    prepared = prepare(config.image_set, config.data_dir, config.max_bad_fraction)
    return make_iterator(tf.distribute.get_strategy(), prepared, batch_size, seed=0, start=0)


def make_plain_pipeline(folder, image_size, batch_size):
    """The usual pipeline of TensorFlow Datasets."""
    import tensorflow as tf

    def resize(example):
        image = tf.image.resize(example["image"], (image_size, image_size), antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)

    dataset = tfds.load("jpeg_files", split="train", data_dir=folder)
    dataset = dataset.shuffle(COUNT).repeat().map(resize, num_parallel_calls=tf.data.AUTOTUNE)
    return iter(dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE))


def images_per_second(pipeline, batch_size, seconds):
    """The rate of a pipeline, after a few batches that start it and empty its read-ahead."""
    for _ in range(8):
        next(pipeline)
    begun = time.monotonic()
    for batches in itertools.count(1):
        next(pipeline)
        elapsed = time.monotonic() - begun
        if elapsed > seconds:
            return batches * batch_size / elapsed


def memory_in_subprocess(count):
    """`anonymous_mib` in a process of its own."""
    code = f"from benchmarks.feed import anonymous_mib; print(anonymous_mib({count}))"
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def anonymous_mib(count):
    """MiB of anonymous memory that reading from a sparse set of `count` images adds.

    Anonymous memory excludes the mapped file, which the system can reclaim at any time.
    """
    import tensorflow as tf

    from keras_sagan.data.batches import make_iterator
    from keras_sagan.data.prepared import Prepared

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (count, 128, 128, 3))
        np.save(folder / "labels.npy", np.zeros(count, np.int32))
        (folder / "dataset.json").write_text(
            json.dumps({"classes": ["a"], "counts": [count]}), "utf-8"
        )
        before = read_status_mib("RssAnon")
        feed = make_iterator(tf.distribute.get_strategy(), Prepared(folder), 64, seed=0, start=0)
        for _ in range(BATCHES):
            next(feed)
        return round(read_status_mib("RssAnon") - before, 1)


if __name__ == "__main__":
    commands.run(main, __doc__)
