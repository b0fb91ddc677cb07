"""Draws generated images: a grid, or a page to play with.

python -m keras_sagan.sample --run_dir=runs/digits --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --labels=3,7 --truncation=1 --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --seeds=0,1 --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --interpolate=0,1 --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --output=samples.html
"""

import dataclasses
import pathlib

import numpy as np
from absl import flags

from keras_sagan import commands
from keras_sagan.errors import UsageError
from keras_sagan.metrics.coherence import coherence
from keras_sagan.pages.sample_page import sample_page
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.visual.grid import make_grid, save_png

MOST = 2**31 - 1

flags.DEFINE_string("run_dir", None, "Folder of a run. Required.")
flags.DEFINE_string("output", "grid.png", "File to write.")
flags.DEFINE_enum(
    "format",
    None,
    ["png", "html"],
    "png: a grid. html: one page without network, with sliders from one seed to another and of "
    "truncation, classes to choose from, and the real images nearest to each sample by pixels and "
    "by features. Default: html if --output ends in .html.",
)
flags.DEFINE_list(
    "labels",
    None,
    "Classes, one row each. Default: every class, at most 10. A run without classes gives a square "
    "grid, or one row of an interpolation.",
)
flags.DEFINE_integer("columns", 8, "Images in a row; in a page, seeds.", lower_bound=1)
flags.DEFINE_integer(
    "seed", 0, "Seed of the latents; in a page, the first one.", lower_bound=0, upper_bound=MOST
)
flags.DEFINE_list(
    "seeds",
    None,
    "One column for each of these seeds: the images that an exported generator has for them.",
)
flags.DEFINE_float(
    "truncation",
    None,
    "Largest absolute value of a latent's entries: less variety, more typical images. Default: no "
    "bound. A page has several to choose from.",
)
flags.DEFINE_list(
    "interpolate",
    None,
    "Two seeds A,B: each row goes from the latent of seed A to that of seed B on the great circle "
    "between them. In a page by default the first two.",
)
flags.DEFINE_enum("checkpoint", "newest", ["newest", "best"], "Which checkpoint.")
flags.DEFINE_bool("ema", True, "Averaged weights; --noema takes those being trained.")
flags.DEFINE_enum(
    "precision",
    None,
    ["float32", "mixed_bfloat16"],
    "What the generator computes in; the weights are the same. Default: as the run was trained.",
)
flags.DEFINE_string(
    "extractor",
    None,
    "Network of a page's distances of features, as for evaluate: classifier or inception:PATH. "
    "Default: classifier, if the data have classes.",
)
flags.DEFINE_string("data_dir", None, "Where a page finds prepared data. Default: the run's own.")


def main():
    run_dir = commands.require("run_dir")
    given = flags.FLAGS
    ends, seeds = (commands.integers(name, 0, MOST) for name in ("interpolate", "seeds"))
    if ends is not None and len(ends) != 2:
        raise UsageError(f"--interpolate must be two seeds, as 0,1. Received: {ends}")
    is_page = (given.format or pathlib.Path(given.output).suffix.lower()[1:]) == "html"
    check_together(is_page)
    run = RunDirectory(run_dir)
    config = run.read_config()
    config = dataclasses.replace(config, precision=given.precision or config.precision)
    columns = len(seeds) if seeds else given.columns
    classes = row_labels(config.num_classes, 1 if is_page or ends or seeds else columns)
    # TensorFlow takes seconds to import: not before the flags are known to be good.
    from keras_sagan.runs.checkpoints import restore_generator

    folder = run.checkpoints / ("best" if given.checkpoint == "best" else "")
    generator, step = restore_generator(config, folder, given.ema)
    if is_page:
        seeds = seeds or [(given.seed + i) % (MOST + 1) for i in range(columns)]
        ends = ends or [*seeds, (seeds[0] + 1) % (MOST + 1)][:2]
        draw_page(run, config, (generator, step), classes, seeds, ends)
    else:
        draw_grid(config, (generator, step), classes, ends, seeds, columns)


def check_together(is_page):
    """Flags that others make mean nothing must not look as if they did."""
    given = flags.FLAGS
    truncation = given.truncation
    if truncation is not None and not 0 < truncation < float("inf"):
        raise UsageError(f"--truncation must be positive. Received: {truncation}")
    rules = {
        "a page has truncations to choose from": (is_page, ["truncation"]),
        "a grid has no neighbors: --format=html has": (not is_page, ["extractor", "data_dir"]),
        "--seeds says what each column is": (
            given.seeds is not None,
            ["columns", "seed", *([] if is_page else ["interpolate"])],
        ),
    }
    for reason, (holds, names) in rules.items():
        beside = [f"--{name}" for name in names if given[name].present]
        if holds and beside:
            raise UsageError(f"{reason}. Received beside it: {', '.join(beside)}")
    kind = (given.extractor or "classifier").partition(":")[0]
    if kind not in ("classifier", "inception") or given.extractor == "inception":
        raise UsageError(
            f"--extractor must be classifier or inception:PATH. Received: {given.extractor}"
        )


def draw_page(run, config, restored, classes, seeds, ends):
    """The page of `restored`, a generator and its step, as a file."""
    from keras_sagan.pages.sample_exhibit import page_samples

    generator, step = restored
    if flags.FLAGS.data_dir:
        config = dataclasses.replace(config, data_dir=flags.FLAGS.data_dir)
    weights = "averaged weights" if flags.FLAGS.ema else "weights as trained"
    samples = page_samples(
        run,
        config,
        generator,
        classes,
        seeds,
        ends,
        flags.FLAGS.extractor,
        f"Step {step:,}, {weights}.",
    )
    page = sample_page(samples)
    output = commands.write("output", lambda path: path.write_text(page, encoding="utf-8"))
    print(f"page of {samples.images[..., 0, 0, 0].size} images of step {step}: {output}")


def draw_grid(config, restored, classes, ends, seeds, columns):
    """A row for each of `classes`, as a file."""
    from keras_sagan.sampling.sampler import make_sampler

    generator, step = restored
    latents = make_latents(ends, seeds, len(classes), columns, config.z_dim)
    labels = np.repeat(classes, columns).astype(np.int32)
    images = make_sampler(generator)(latents, labels)
    grid = make_grid(images, columns)
    output = commands.write("output", lambda path: save_png(grid, path, config.image_size))
    if config.is_symmetry:
        print(f"coherence: {coherence(images, labels):.3f} (1: as real images)")
    of_classes = f", a row each of labels {classes}" if config.num_classes else ""
    print(f"{len(images)} images of step {step}{of_classes}: {output}")


def make_latents(ends, seeds, rows, columns, z_dim):
    """`[rows * columns, z_dim]`: the same for each row, or independent ones without seeds.

    Args:
        ends: two seeds, between which a row goes, or None.
        seeds: one for each column, or None.
        rows: int.
        columns: int.
        z_dim: int.
    """
    from keras_sagan.sampling.sampler import latents_between, latents_of, latents_of_seeds

    truncation = flags.FLAGS.truncation
    if ends:
        return np.tile(latents_between(ends, columns, z_dim, truncation), (rows, 1))
    if seeds:
        return np.tile(latents_of_seeds(seeds, z_dim, truncation), (rows, 1))
    return latents_of(flags.FLAGS.seed, rows * columns, z_dim, truncation).numpy()


def row_labels(num_classes, rows):
    """The class of each row; for a run without classes, `rows` times the label it ignores."""
    labels = commands.integers("labels", 0)
    if num_classes == 0:
        if labels is not None:
            raise UsageError(f"--labels needs a run with classes. Received: {labels}")
        return [0] * rows
    if labels is None:
        return list(range(min(num_classes, 10)))
    if max(labels) >= num_classes:
        raise UsageError(f"--labels must be in 0...{num_classes - 1}. Received: {labels}")
    return labels


if __name__ == "__main__":
    commands.run(main, __doc__)
