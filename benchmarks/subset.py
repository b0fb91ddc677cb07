r"""Writes a small image set: a random subset of another one, as a folder of PNG files.

python -m benchmarks.subset --dataset=idx:/usr/share/datasets/fashion-mnist --image_size=16 \
    --image_channels=1 --count=600 --classes=0,1,8 --seed=0 --output=data/fashion3

Each class is a subfolder, and all have equally many images, or one more. The images are prepared as
for training, and resized where they have another size. Equal flags write equal files. Then train on
--dataset=folder:data/fashion3.
"""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from absl import flags
from PIL import Image

from keras_sagan import commands
from keras_sagan.classes import describe_classes, parse_labels
from keras_sagan.data.prepared import Prepared, prepare
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import written_whole

flags.DEFINE_integer("count", None, "Number of images. Required.", lower_bound=2)
flags.DEFINE_list("classes", None, "Names or numbers of classes. Default: all.")
flags.DEFINE_string("output", None, "Folder to create. Required.")
commands.define_config_flags()


def main():
    count, output = commands.require("count"), pathlib.Path(commands.require("output"))
    config = commands.config_from_flags()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Nothing is computed.
    if output.exists():
        raise UsageError(f"--output must be a new folder. Received: {output}")
    prepared = prepare(config.image_set, config.data_dir, config.max_bad_fraction)
    names, texts = prepared.record["classes"], flags.FLAGS.classes
    labels = [*range(len(names))]
    if texts is not None:
        labels = parse_labels("--classes", texts, len(names), names)
    chosen = choose_images(prepared.labels, labels, count, config.seed)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(output) as folder:
            write_folder(prepared, chosen, folder)
    except OSError as error:
        raise RunError(f"--output={output} cannot be written: {error}") from error
    print(f"{len(chosen)} of {len(prepared.images)} images of {config.dataset}: {output}")
    print(describe_classes([names[label] for label in labels]))


def choose_images(all_labels: np.ndarray, labels: Sequence[int], count: int, seed: int) -> list:
    """Indices of `count` random images, in equal shares of the classes `labels`; sorted.

    Raises:
        UsageError: if a class has too few images, or would get none.
    """
    if len(set(labels)) < len(labels) or count < len(labels):
        raise UsageError(
            "expected distinct --classes, and an image for each. "
            f"Received: count={count}, {len(labels)} classes"
        )
    random, chosen = np.random.default_rng(seed), []
    for i, label in enumerate(labels):
        share = count // len(labels) + (i < count % len(labels))
        of_class = np.flatnonzero(all_labels == label)
        if len(of_class) < share:
            raise UsageError(
                f"--count must be at most {len(of_class) * len(labels)}, as there are "
                f"{len(of_class)} images of class {label}. Received: {count}"
            )
        chosen += random.permutation(of_class)[:share].tolist()
    return sorted(chosen)


def write_folder(prepared: Prepared, chosen: Sequence[int], folder: pathlib.Path) -> None:
    """Writes images of a set to CLASS/INDEX.png in a new folder."""
    for index in chosen:
        name = prepared.record["classes"][prepared.labels[index]].replace("/", "_")
        path = folder / name / f"{index:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = prepared.images[index]
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path)


if __name__ == "__main__":
    commands.run(main, __doc__)
