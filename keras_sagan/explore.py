"""Makes a page, or a figure, that shows what a run's attention layers attend to.

python -m keras_sagan.explore --run_dir=runs/digits --output=attention.html
python -m keras_sagan.explore --run_dir=runs/digits --checkpoint=all --labels=3,7 --seeds=0,1
python -m keras_sagan.explore --run_dir=runs/digits --format=png --output=attention.png

The page is one file that works offline: point at a place in an image to see what it attends to.
"""

import contextlib
import dataclasses
import functools
import itertools
import math
import pathlib
import shlex
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from absl import flags

from keras_sagan import commands
from keras_sagan.classes import describe_classes
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.values import LARGEST_SEED, CheckpointChoice

flags.DEFINE_string("run_dir", None, "Folder of a run. Required.")
flags.DEFINE_string("output", "attention.html", "File to write.")
flags.DEFINE_enum(
    "format",
    None,
    ["html", "png"],
    "html: the page. png: a figure as in the paper, with five places of each image and their maps "
    "in one layer; it needs matplotlib. Default: png if the output ends in .png, otherwise html.",
)
flags.DEFINE_list(
    "labels",
    None,
    "Classes by label or name, as for sample, e.g. 0,2 or cats,dogs. Default: every class, at most "
    "10.",
)
flags.DEFINE_list(
    "seeds",
    None,
    "Seeds of latents, as for sample. There is one image for each class, seed and truncation. "
    "Default: as many, from 0 up, as give 32 images (png: 6) and a page below 15 MB.",
)
flags.DEFINE_list(
    "truncation",
    ["none"],
    "Largest absolute values of a latent's entries, e.g. none,0.5. Lower values give less varied, "
    "more typical images.",
)
flags.DEFINE_string(
    "checkpoint",
    "newest",
    "newest, best, all, a step, or several of these, comma-separated. The page plays through them.",
)
flags.DEFINE_bool("ema", True, "Averaged weights; --noema takes the weights being trained.")
flags.DEFINE_bool("real", True, "Also show the discriminator on real images, which needs the data.")
flags.DEFINE_string("data_dir", None, "Folder of prepared data. Default: the run's own.")
flags.DEFINE_string(
    "layer",
    None,
    "Layer of a png, e.g. g_attention_16 or d_attention_16. Default: the generator's last.",
)

# Limits: images of a page, rows of a figure, and bytes of a page's maps and images.
MOST_IMAGES, MOST_ROWS, MOST_BYTES = 32, 6, 14_500_000
DOTS_PER_INCH = 200


def main() -> None:
    given = flags.FLAGS
    run = RunDirectory(commands.require("run_dir"))
    is_png = (given.format or pathlib.Path(given.output).suffix[1:]) == "png"
    config = run.read_config()
    config = dataclasses.replace(config, data_dir=given.data_dir or config.data_dir)
    resolutions = attended_resolutions(config)
    layers = [f"{key}_attention_{size}" for key, sizes in resolutions.items() for size in sizes]
    checkpoint = CheckpointChoice.parse(given.checkpoint)
    check_flags(layers, checkpoint, is_png)
    labels, names = commands.class_labels(run, config)
    seeds = commands.integers("seeds", 0, LARGEST_SEED)
    truncations = [parse_truncation(text) for text in given.truncation or [""]]
    # TensorFlow takes seconds to import, so flags are checked first.
    from keras_sagan import networks
    from keras_sagan.pages.attention_exhibit import NetworkPair, Point
    from keras_sagan.runs.checkpoints import choose_checkpoints
    from keras_sagan.runs.reading import CheckpointReader

    count = len(choose_checkpoints(run.checkpoints, checkpoint))
    room = MOST_ROWS if is_png else page_room(config.image_set.image_shape, resolutions, count)
    labels = labels or range(min(config.num_classes, 10, room // len(truncations)) or 1)
    seeds = seeds or range(room // (len(labels) * len(truncations)) or 1)
    grid = itertools.product(labels, truncations, seeds)
    points = [Point(label, seed, bound) for label, bound, seed in grid]
    pair = NetworkPair(networks.generator(config), networks.discriminator(config), given.ema)
    reader = CheckpointReader(run.checkpoints, pair.restore_weights)
    if is_png:
        steps = [reader.read_one(checkpoint).value]
        figure = make_figure(pair, points, given.layer or layers[0])
        save = functools.partial(figure.savefig, format="png", dpi=DOTS_PER_INCH)
    else:
        page, steps = make_page(run, config, pair, reader.read_each(checkpoint), points)
        save = commands.page_writer(page)
    output = commands.write("output", save)
    print_summary(len(points), steps, output, names)
    if reader.damaged:
        sys.exit(1)


def print_summary(
    count: int, steps: list[int], output: pathlib.Path, names: list[str] | None
) -> None:
    shown, size = ", ".join(map(str, steps)), output.stat().st_size / 1e6
    print(f"{count} generated images of step {shown}: {output} ({size:.1f} MB)")
    if names:
        print(describe_classes(names))


def attended_resolutions(config: Config) -> dict[str, tuple[int, ...]]:
    """The resolutions at which networks "g" (high to low) and "d" (low to high) attend.

    Raises:
        UsageError: if the run has no attention.
    """
    found = {"g": config.g_attention_resolutions[::-1], "d": config.d_attention_resolutions}
    if config.attention_block != "attention" or not any(found.values()):
        raise UsageError(
            "expected a run with attention. Received: "
            f"g_attention={config.g_attention}, d_attention={config.d_attention}, "
            f"attention_block={config.attention_block}"
        )
    return found


def check_flags(layers: list[str], checkpoint: CheckpointChoice, is_png: bool) -> None:
    layer = flags.FLAGS.layer
    if is_png and not checkpoint.is_one:
        raise UsageError(f"--format=png shows a single checkpoint. Received: {checkpoint}")
    if layer and not is_png:
        raise UsageError("--layer is for --format=png: a page has every layer")
    if layer not in (None, *layers):
        raise UsageError(f"--layer must be one of {', '.join(layers)}. Received: {layer}")


def parse_truncation(text: str) -> float | None:
    """A truncation; None for "none"."""
    if text == "none":
        return None
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise UsageError(f"--truncation must be positive numbers or none. Received: {text}")


def page_room(
    image_shape: tuple[int, int, int], resolutions: dict[str, tuple[int, ...]], steps: int
) -> int:
    """The number of images that fit on a page of `steps` checkpoints."""
    from keras_sagan.pages.attention_page import image_bytes

    generated = sum(map(image_bytes, resolutions["g"])) + math.prod(image_shape) * 4 / 3
    groups = 2 if flags.FLAGS.real else 1
    size = steps * (generated + groups * sum(map(image_bytes, resolutions["d"])))
    return max(min(MOST_IMAGES, int(MOST_BYTES / size)), 1)


def make_page(
    run: RunDirectory, config: Config, pair, readings: Iterable[Any], points: list[Any]
) -> tuple[str, list[int]]:
    """The HTML page of a `NetworkPair` at some checkpoints, and their steps.

    `readings` are as for `gather_exhibit`; there is a `Point` for each image.
    """
    from keras_sagan.pages.attention_exhibit import gamma_curves, gather_exhibit
    from keras_sagan.pages.attention_page import attention_page
    from keras_sagan.runs.run_data import open_run_data

    given = flags.FLAGS
    try:
        prepared = open_run_data(run, config) if given.real else None
    except UsageError as error:
        raise UsageError(f"{error} (--noreal leaves out the real images)") from error
    curves = gamma_curves(run.rows("train.jsonl"))
    exhibit = gather_exhibit(pair, readings, points, prepared, curves)
    weights = "averaged over training" if given.ema else "as trained"
    facts = [
        f"Data: {config.image_set.dataset.public_text} at {config.image_size} x "
        f"{config.image_size} pixels. The weights of the generator are {weights}. Gamma over "
        "training is of the weights being trained.",
        f"Made by: python -m keras_sagan.explore {shlex.join(sys.argv[1:])}",
    ]
    title = f"Attention maps of {run.path.resolve().name}"
    return attention_page(exhibit, title, facts), exhibit.steps


def make_figure(pair: Any, points: list[Any], layer: str) -> Any:
    """The figure of one layer of a restored pair, given by its name in train.jsonl."""
    from keras_sagan.visual import attention_maps, plot_attention

    latents, labels = pair.draw_inputs(points)
    images = pair.sample(latents, labels)
    key, _, name = layer.partition("_")
    if key == "g":
        maps = attention_maps(pair.generator, latents, labels)
    else:
        maps = attention_maps(pair.discriminator, images.astype(np.float32) / 127.5 - 1, labels)
    has_classes = pair.generator.num_classes > 0
    names = [f"class {label}" if has_classes else f"seed {seed}" for label, seed, _ in points]
    try:
        return plot_attention(images, maps[name], captions=names)
    except ImportError as error:
        raise UsageError(
            "--format=png needs matplotlib; install it with pip install '.[benchmarks]'"
        ) from error


if __name__ == "__main__":
    commands.run(main, __doc__)
