"""Makes a page, or a figure, that shows where the attention of a run looks.

python -m keras_sagan.explore --run_dir=runs/digits --output=attention.html
python -m keras_sagan.explore --run_dir=runs/digits --checkpoints=all --labels=3,7 --seeds=0,1
python -m keras_sagan.explore --run_dir=runs/digits --format=png --output=attention.png

The page is one file that needs no network: point at a place of an image and see what it attends to.
"""

import contextlib
import dataclasses
import functools
import pathlib
import shlex
import sys

import numpy as np
from absl import flags

from keras_sagan import commands
from keras_sagan.errors import UsageError
from keras_sagan.runs.directory import RunDirectory

flags.DEFINE_string("run_dir", None, "Folder of a run. Required.")
flags.DEFINE_string("output", "attention.html", "File to write.")
flags.DEFINE_enum(
    "format",
    None,
    ["html", "png"],
    "html: the page. png: the figure of the paper, five places of each image and their maps in one "
    "layer; it needs matplotlib. Default: png if the output ends in .png, else html.",
)
flags.DEFINE_list("labels", None, "Classes. Default: every class, at most 10.")
flags.DEFINE_list(
    "seeds",
    None,
    "Seeds of latents, as of sample; an image for each class, seed and truncation. Default: as "
    "many from 0 on as make 32 images (png: 6), or less so that the page stays under 15 MB.",
)
flags.DEFINE_list(
    "truncation",
    ["none"],
    "Largest absolute values of a latent's entries, as none,0.5: less variety, more typical.",
)
flags.DEFINE_list(
    "checkpoints",
    ["newest"],
    "newest, best, all, or steps as 500,1000; the page plays through them.",
)
flags.DEFINE_bool("ema", True, "Averaged weights of the generator; --noema takes those trained.")
flags.DEFINE_bool("real", True, "Show the discriminator on real images too, which needs the data.")
flags.DEFINE_string("data_dir", None, "Where prepared data are kept. Default: the run's own.")
flags.DEFINE_string(
    "layer",
    None,
    "Of a png, as g_attention_16 or d_attention_16. Default: the generator's last.",
)

# Images of a page, rows of a figure, and bytes of a page, which has room for more than the maps.
MOST_IMAGES, MOST_ROWS, MOST_BYTES = 32, 6, 14_500_000
DOTS_PER_INCH = 200


def main():
    given = flags.FLAGS
    run = RunDirectory(commands.require("run_dir"))
    suffix = pathlib.Path(given.output).suffix
    is_png = given.format == "png" or (given.format is None and suffix == ".png")
    config = run.read_config()
    if given.data_dir:
        config = dataclasses.replace(config, data_dir=given.data_dir)
    layers = attention_layers(config)
    check_flags(layers, is_png)
    wanted = labels_seeds_truncations(config)
    # TensorFlow takes seconds to import: not before the flags are known to be good.
    from keras_sagan.runs.checkpoint_files import step_of
    from keras_sagan.runs.checkpoints import chosen_checkpoints

    named = [chosen_checkpoints(run.checkpoints, choice) for choice in given.checkpoints]
    by_step = {step_of(path): path for paths in named for path in paths}
    paths = [by_step[step] for step in sorted(by_step)]
    points = fill(*wanted, config, MOST_ROWS if is_png else page_room(config, len(paths)))
    if is_png:
        figure = make_figure(config, paths[-1], points, given.layer or layers[0])
        save = functools.partial(figure.savefig, format="png", dpi=DOTS_PER_INCH)
    else:
        page = make_page(run, config, paths, points)
        save = functools.partial(pathlib.Path.write_text, data=page, encoding="utf-8")
    output = commands.write("output", save)
    steps, size = ", ".join(map(str, sorted(by_step))), output.stat().st_size / 1e6
    print(f"{len(points)} generated images of step {steps}: {output} ({size:.1f} MB)")


def attention_layers(config):
    """Names of the run's attention layers, as in train.jsonl: G's from its images on, then D's."""
    resolutions = {"g": config.g_attention_resolutions[::-1], "d": config.d_attention_resolutions}
    found = [f"{key}_attention_{size}" for key, sizes in resolutions.items() for size in sizes]
    if config.attention_block != "attention" or not found:
        raise UsageError(
            "expected a run with attention. Received: "
            f"g_attention={config.g_attention}, d_attention={config.d_attention}, "
            f"attention_block={config.attention_block}"
        )
    return found


def check_flags(layers, is_png):
    given = flags.FLAGS
    choices = given.checkpoints
    if not choices or not all(
        choice in ("newest", "best", "all") or choice.isdecimal() for choice in choices
    ):
        raise UsageError(
            f"--checkpoints must be newest, best, all, or steps. Received: {','.join(choices)}"
        )
    if is_png and (len(choices) > 1 or choices == ["all"]):
        raise UsageError(f"--format=png shows one checkpoint. Received: {','.join(choices)}")
    if given.layer and not is_png:
        raise UsageError("--layer is for --format=png: a page has every layer")
    if given.layer not in (None, *layers):
        raise UsageError(f"--layer must be one of {', '.join(layers)}. Received: {given.layer}")


def labels_seeds_truncations(config):
    """What the flags name; labels and seeds are None where they leave them open."""
    given = flags.FLAGS
    if given.labels is not None and config.num_classes == 0:
        raise UsageError(f"--labels needs a run with classes. Received: {','.join(given.labels)}")
    labels = commands.integers("labels", 0, config.num_classes - 1)
    seeds = commands.integers("seeds", 0, 2**31 - 1)
    return labels, seeds, [bound(text) for text in given.truncation or [""]]


def bound(text):
    """A truncation, None for "none"."""
    if text == "none":
        return None
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise UsageError(f"--truncation must be positive numbers or none. Received: {text}")


def page_room(config, steps):
    """How many images a page of `steps` checkpoints has room for."""
    from keras_sagan.pages.attention_page import image_bytes

    pictures = config.image_size**2 * config.image_channels * 4 / 3
    size = steps * (sum(map(image_bytes, config.g_attention_resolutions)) + pictures)
    groups = 2 if flags.FLAGS.real else 1
    size += steps * groups * sum(map(image_bytes, config.d_attention_resolutions))
    return max(min(MOST_IMAGES, int(MOST_BYTES / size)), 1)


def fill(labels, seeds, truncations, config, room):
    """A (label, seed, truncation) for each image; what was left open takes as many as have room."""
    if labels is None:
        labels = range(min(config.num_classes, 10, room // len(truncations)) or 1)
    if seeds is None:
        seeds = range(room // (len(labels) * len(truncations)) or 1)
    return [(label, seed, each) for label in labels for each in truncations for seed in seeds]


def make_page(run, config, paths, points):
    """The page, as HTML."""
    from keras_sagan.data.prepared import prepare
    from keras_sagan.pages.attention_exhibit import make_exhibit
    from keras_sagan.pages.attention_page import attention_page

    given = flags.FLAGS
    try:
        wanted = config.image_set, config.data_dir, config.max_bad_fraction
        prepared = prepare(*wanted) if given.real else None
    except UsageError as error:
        raise UsageError(f"{error} (--noreal leaves the real images out)") from error
    exhibit = make_exhibit(run, config, paths, points, given.ema, prepared)
    weights = "averaged over training" if given.ema else "as trained"
    facts = [
        f"Data: {config.dataset} at {config.image_size} x {config.image_size} pixels. The "
        f"generator's weights are {weights}; gamma over training is of those being trained.",
        f"Made by: python -m keras_sagan.explore {shlex.join(sys.argv[1:])}",
    ]
    return attention_page(dataclasses.replace(exhibit, facts=facts))


def make_figure(config, path, points, layer):
    """The figure of one layer, by its name in train.jsonl."""
    from keras_sagan.pages.attention_exhibit import Networks, latents_and_labels
    from keras_sagan.visual import attention_maps, plot_attention

    both = Networks(config, flags.FLAGS.ema)
    both.read(path)
    latents, labels = latents_and_labels(points, config.z_dim)
    images = both.sample(latents, labels)
    key, _, name = layer.partition("_")
    if key == "g":
        maps = attention_maps(both.generator, latents, labels)
    else:
        maps = attention_maps(both.discriminator, images.astype(np.float32) / 127.5 - 1, labels)
    has_classes = config.num_classes > 0
    names = [f"class {label}" if has_classes else f"seed {seed}" for label, seed, _ in points]
    try:
        return plot_attention(images, maps[name], captions=names)
    except ImportError as error:
        raise UsageError(
            "--format=png needs matplotlib, which pip install '.[benchmarks]' brings"
        ) from error


if __name__ == "__main__":
    commands.run(main, __doc__)
