"""How fast and how large the feed is, against a plain pipeline of TensorFlow Datasets.

python -m benchmarks.feed
python -m benchmarks.feed --image_sizes=128 --rounds=9 --json

Both read the same 512 JPEG files of 500x375 pixels, a usual size in ImageNet: the feed from the set
that `prepare` made of them, in the page cache; the plain pipeline with tfds.load (which decodes),
shuffle, map (which resizes), batch and prefetch. They take turns in one process.
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

from benchmarks.apart import status_mib
from keras_sagan import commands
from keras_sagan.config import Config
from keras_sagan.errors import UsageError

flags.DEFINE_list("image_sizes", ["32", "64", "128"], "Sizes of images, in pixels.")
flags.DEFINE_integer("batch_size", 64, "Images in a batch.", lower_bound=1)
flags.DEFINE_integer("rounds", 5, "Turns of each pipeline; figures are medians.", lower_bound=1)
flags.DEFINE_float("seconds", 2.0, "Length of a turn.", lower_bound=0.1)
flags.DEFINE_bool("json", False, "Print one JSON object a line instead of text.")

COUNT = 512
# Images of 128 pixels in the two sets whose feeds are compared in memory, and batches read of each.
FEW, MANY, BATCHES = 1_000, 100_000, 300


def main():
    settings = flags.FLAGS
    if not all(text.isdecimal() for text in settings.image_sizes):
        raise UsageError(f"--image_sizes must be sizes, as 32,64. Received: {settings.image_sizes}")
    with tempfile.TemporaryDirectory() as folder:
        for size in map(int, settings.image_sizes):
            config = Config(
                dataset="jpeg_files",
                image_size=size,
                batch_size=settings.batch_size,
                data_dir=folder,
                tfds_dir=folder,
            )
            show(compare(config, settings.rounds, settings.seconds))
    few, many = (memory_apart(count) for count in (FEW, MANY))
    show({"memory_of_images": [FEW, MANY], "feed_anonymous_mib": [few, many]})


def show(row):
    if flags.FLAGS.json:
        print(json.dumps(row), flush=True)
    else:
        print("  ".join(f"{name}: {value}" for name, value in row.items()), flush=True)


def photo(number):
    """Noise of all scales, as in photographs, uint8 `[375, 500, 3]`; 60 kB as a JPEG file."""
    rng, total = np.random.default_rng(number), np.zeros((375, 500, 3))
    for rows in (3, 6, 12, 24, 48, 96, 192):
        cells = Image.fromarray(rng.integers(0, 256, (rows, rows * 4 // 3, 3), np.uint8))
        total += np.asarray(cells.resize((500, 375), Image.Resampling.BICUBIC)) / rows**0.5
    return ((total - total.min()) / np.ptp(total) * 255).astype(np.uint8)


class JpegFiles(tfds.core.GeneratorBasedBuilder):
    """`COUNT` photographs, so to speak, without labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(pathlib.Path(dl_manager.download_dir))}

    def _generate_examples(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(COUNT):
            Image.fromarray(photo(i)).save(folder / f"{i}.jpg", quality=95)
            yield i, {"image": folder / f"{i}.jpg"}


def compare(config, rounds, seconds):
    """Images per second of both pipelines, which take turns, and the ratios of their turns."""
    feed, plain = feed_pipeline(config), plain_pipeline(config)
    pairs = [
        [rate(pipeline, config.batch_size, seconds) for pipeline in (feed, plain)]
        for _ in range(rounds)
    ]
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return {
        "image_size": config.image_size,
        "batch_size": config.batch_size,
        "feed_images_per_s": round(ours),
        "plain_images_per_s": round(theirs),
        "ratio": round(statistics.median(ratios), 1),
        "ratio_least_and_most": [round(ratios[0], 1), round(ratios[-1], 1)],
        "cpus": len(os.sched_getaffinity(0)),
    }


def feed_pipeline(config):
    import tensorflow as tf

    from keras_sagan.data.batches import make_iterator
    from keras_sagan.data.prepared import prepare

    prepared = prepare(config.image_set, config.data_dir, config.max_bad_fraction)
    strategy = tf.distribute.get_strategy()
    return make_iterator(strategy, prepared, config.batch_size, config.seed, start=0)


def plain_pipeline(config):
    import tensorflow as tf

    size = (config.image_size, config.image_size)

    def resized(example):
        image = tf.image.resize(example["image"], size, antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)

    dataset = tfds.load(config.dataset, split="train", data_dir=config.tfds_dir)
    dataset = dataset.shuffle(COUNT).repeat().map(resized, num_parallel_calls=tf.data.AUTOTUNE)
    return iter(dataset.batch(config.batch_size).prefetch(tf.data.AUTOTUNE))


def rate(pipeline, batch_size, seconds):
    """Images per second, after a few batches that wake the pipeline and empty its read-ahead."""
    for _ in range(8):
        next(pipeline)
    begun = time.monotonic()
    for batches in itertools.count(1):
        next(pipeline)
        elapsed = time.monotonic() - begun
        if elapsed > seconds:
            return batches * batch_size / elapsed


def memory_apart(count):
    """`memory_of` in a process of its own, in MiB."""
    code = f"from benchmarks.feed import memory_of; print(memory_of({count}))"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(result.stdout)


def memory_of(count):
    """MiB of anonymous memory by which a process grows that reads from a sparse set of `count`.

    Anonymous: not what is mapped of the file, which the system takes back as it likes.
    """
    import tensorflow as tf

    from keras_sagan.data.batches import make_iterator
    from keras_sagan.data.prepared import Prepared

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (count, 128, 128, 3))
        np.save(folder / "labels.npy", np.zeros(count, np.int32))
        (folder / "dataset.json").write_text(json.dumps({"classes": ["a"], "counts": [count]}))
        before = status_mib("RssAnon")
        feed = make_iterator(tf.distribute.get_strategy(), Prepared(folder), 64, seed=0, start=0)
        for _ in range(BATCHES):
            next(feed)
        return round(status_mib("RssAnon") - before, 1)


if __name__ == "__main__":
    commands.run(main, __doc__)
