"""Draws generated images: a grid, or an interactive page.

python -m keras_sagan.sample --run_dir=runs/digits --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --labels=3,7 --truncation=1 --output=grid.png
python -m keras_sagan.sample --run_dir=runs/pets --labels=cats,dogs --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --seeds=0,1 --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --interpolate=0,1 --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --output=samples.html
"""

import dataclasses
import functools
import pathlib
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from keras_sagan import commands
from keras_sagan.classes import describe_classes
from keras_sagan.errors import UsageError
from keras_sagan.metrics.coherence import coherence
from keras_sagan.pages.sample_page import Selection, sample_page
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.values import LARGEST_SEED, CheckpointChoice, ExtractorChoice
from keras_sagan.visual.grid import make_grid, save_png

flags.DEFINE_string("run_dir", None, "Folder of a run. Required.")
flags.DEFINE_string("output", "grid.png", "File to write.")
flags.DEFINE_enum(
    "format",
    None,
    ["png", "html"],
    "png: a grid. html: an interactive page that works offline, with a slider for truncation, "
    "interpolation between two seeds, and the real images nearest to each sample by pixels and by "
    "features. Default: html if --output ends in .html.",
)
flags.DEFINE_list(
    "labels",
    None,
    "Classes by label or name, e.g. 0,2 or cats,dogs, one row each. A number is always a label. "
    "Quote a name with a comma: '--labels=\"black, white\",cats'. Default: every class, at most "
    "10. A run without classes gives a square grid, or one row with --interpolate.",
)
flags.DEFINE_integer("columns", 8, "Images per row; on a page, number of seeds.", lower_bound=1)
flags.DEFINE_integer(
    "seed",
    0,
    "Seed of the latents; on a page, the first seed.",
    lower_bound=0,
    upper_bound=LARGEST_SEED,
)
flags.DEFINE_list(
    "seeds",
    None,
    "One column for each of these seeds, with the images that an exported generator makes of them.",
)
flags.DEFINE_float(
    "truncation",
    None,
    "Largest absolute value of a latent's entries. Lower values give less varied, more typical "
    "images. Default: no bound. A page offers several values.",
)
flags.DEFINE_list(
    "interpolate",
    None,
    "Two seeds, e.g. 0,1: each row interpolates between their latents, on a great circle. Default "
    "on a page: the first two seeds.",
)
flags.DEFINE_string("checkpoint", "newest", "newest, best or a step.")
flags.DEFINE_bool("ema", True, "Averaged weights; --noema takes the weights being trained.")
flags.DEFINE_enum(
    "precision",
    None,
    ["float32", "mixed_bfloat16"],
    "Precision of the generator's computations, not of its weights. Default: the run's own.",
)
flags.DEFINE_string(
    "extractor",
    "auto",
    "Network for the feature distances of a page, as for evaluate: auto, classifier, rotation or "
    "inception:PATH.",
)
flags.DEFINE_string(
    "data_dir",
    None,
    "Folder of prepared data, for the names of classes and the real images of a page. Default: the "
    "run's own.",
)


class RestoredGenerator(NamedTuple):
    """A generator, and the step of its weights."""

    generator: Any
    step: int


def main() -> None:
    run_dir = commands.require("run_dir")
    given = flags.FLAGS
    ends, seeds = (commands.integers(name, 0, LARGEST_SEED) for name in ("interpolate", "seeds"))
    if ends is not None and len(ends) != 2:
        raise UsageError(f"--interpolate must be two seeds, e.g. 0,1. Received: {ends}")
    is_page = (given.format or pathlib.Path(given.output).suffix.lower()[1:]) == "html"
    check_combinations(is_page)
    checkpoint = CheckpointChoice.parse(given.checkpoint, several=False)
    extractor = ExtractorChoice.parse(given.extractor)
    run = RunDirectory(run_dir)
    config = run.read_config()
    precision, data_dir = given.precision or config.precision, given.data_dir or config.data_dir
    config = dataclasses.replace(config, precision=precision, data_dir=data_dir)
    columns = len(seeds) if seeds else given.columns
    given_labels, names = commands.class_labels(run, config)
    plain_rows = 1 if is_page or ends or seeds else columns
    labels = given_labels or default_labels(config.num_classes, plain_rows)
    # TensorFlow takes seconds to import, so flags are checked first.
    from keras_sagan.runs.checkpoints import load_generator
    from keras_sagan.runs.reading import CheckpointReader

    load = functools.partial(load_generator, config, ema=given.ema)
    reading = CheckpointReader(run.checkpoints, load).read_one(checkpoint)
    restored = RestoredGenerator(*reading.value)
    if is_page:
        seeds = seeds or [(given.seed + i) % (LARGEST_SEED + 1) for i in range(columns)]
        ends = ends or [*seeds, (seeds[0] + 1) % (LARGEST_SEED + 1)][:2]
        draw_page(run, config, restored, Selection(labels, seeds, ends), extractor)
    else:
        latents = make_latents(ends, seeds, len(labels), columns, config.z_dim)
        draw_grid(restored, labels, latents, config.is_symmetry)
    if names:
        print(describe_classes(names))


def check_combinations(is_page: bool) -> None:
    """Refuses flags that others make ineffective, so that nobody expects an effect."""
    given = flags.FLAGS
    truncation = given.truncation
    if truncation is not None and not 0 < truncation < float("inf"):
        raise UsageError(f"--truncation must be positive. Received: {truncation}")
    by_seeds = ["columns", "seed", *([] if is_page else ["interpolate"])]
    rules = {
        "a page offers several truncations": (is_page, ["truncation"]),
        "a grid shows no neighbors; --format=html does": (not is_page, ["extractor"]),
        "--seeds defines the columns": (given.seeds is not None, by_seeds),
    }
    for reason, (holds, names) in rules.items():
        beside = [f"--{name}" for name in names if given[name].present]
        if holds and beside:
            raise UsageError(f"{reason}. Received with it: {', '.join(beside)}")


def draw_page(run, config, restored, selection, extractor) -> None:
    """Writes a page; raises `UsageError` if data or extractor do not fit the run."""
    from keras_sagan.pages.sample_exhibit import feature_space, gather_samples
    from keras_sagan.runs.run_data import open_run_data

    prepared = open_run_data(run, config)
    features_of, features = feature_space(extractor, prepared, str(prepared.data_dir))
    samples = gather_samples(restored.generator, selection, prepared, features_of, config.flip)
    weights = "averaged weights" if flags.FLAGS.ema else "weights as trained"
    mirrors = ", mirrored at random: a mirror image counts as the image" if config.flip else ""
    about = (
        f"Step {restored.step:,}, {weights}. Trained on {len(prepared.images):,} images of "
        f"{config.image_set.dataset.public_text}{mirrors}."
    )
    page = sample_page(samples, f"Samples of {run.path.resolve().name}", about, features)
    output = commands.write("output", commands.page_writer(page))
    count = samples.images[..., 0, 0, 0].size
    print(f"page of {count} images of step {restored.step}: {output}")


def draw_grid(restored, rows: list[int], latents: np.ndarray, measures_coherence: bool) -> None:
    """Writes a grid with a row for each label in `rows`."""
    from keras_sagan.sampling.sampler import make_sampler

    columns = len(latents) // len(rows)
    labels = np.repeat(rows, columns).astype(np.int32)
    images = make_sampler(restored.generator)(latents, labels)
    grid = make_grid(images, columns)
    output = commands.write("output", lambda path: save_png(grid, path, images.shape[1]))
    if measures_coherence:
        print(f"coherence: {coherence(images, labels):.3f} (1 = as real images)")
    of_classes = f", one row for each label of {rows}" if restored.generator.num_classes else ""
    print(f"{len(images)} images of step {restored.step}{of_classes}: {output}")


def make_latents(ends, seeds, rows: int, columns: int, z_dim: int) -> np.ndarray:
    """`[rows * columns, z_dim]`: between two ends, from a seed per column, or all independent."""
    from keras_sagan.sampling.sampler import latents_between, latents_of, latents_of_seeds

    truncation = flags.FLAGS.truncation
    if ends:
        return np.tile(latents_between(ends, columns, z_dim, truncation), (rows, 1))
    if seeds:
        return np.tile(latents_of_seeds(seeds, z_dim, truncation), (rows, 1))
    return latents_of(flags.FLAGS.seed, rows * columns, z_dim, truncation).numpy()


def default_labels(num_classes: int, rows: int) -> list[int]:
    """The first ten classes; for a run without classes, `rows` times label 0, which is ignored."""
    return [*range(min(num_classes, 10))] or [0] * rows


if __name__ == "__main__":
    commands.run(main, __doc__)
