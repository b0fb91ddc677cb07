"""Draws a grid of generated images.

python -m keras_sagan.sample --run_dir=runs/digits --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --labels=3,7 --truncation=1 --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --seeds=0,1 --output=grid.png
python -m keras_sagan.sample --run_dir=runs/digits --interpolate=0,1 --output=grid.png
"""

import pathlib

import numpy as np
from absl import flags

from keras_sagan import commands
from keras_sagan.errors import RunError, UsageError
from keras_sagan.metrics.coherence import coherence
from keras_sagan.training.run_directory import RunDirectory
from keras_sagan.visual.grid import make_grid, save_png

flags.DEFINE_string("run_dir", None, "Folder of a run. Required.")
flags.DEFINE_string("output", "grid.png", "PNG file to write.")
flags.DEFINE_list(
    "labels",
    None,
    "Classes, one row each. Default: every class, at most 10. A run without classes gives a square "
    "grid, or one row of an interpolation.",
)
flags.DEFINE_integer("columns", 8, "Images in a row.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the latents.", lower_bound=0, upper_bound=2**31 - 1)
flags.DEFINE_list(
    "seeds",
    None,
    "One column for each of these seeds: the images that an exported generator has for them.",
)
flags.DEFINE_float(
    "truncation",
    None,
    "Largest absolute value of a latent's entries: less variety, more typical images. Default: no "
    "bound.",
)
flags.DEFINE_list(
    "interpolate",
    None,
    "Two seeds A,B: each row goes from the latent of seed A to that of seed B on the great circle "
    "between them.",
)
flags.DEFINE_enum("checkpoint", "newest", ["newest", "best"], "Which checkpoint.")
flags.DEFINE_bool("ema", True, "Averaged weights; --noema takes those being trained.")


def main():
    run_dir = commands.require("run_dir")
    ends, seeds = whole_numbers("interpolate"), whole_numbers("seeds")
    if ends is not None and len(ends) != 2:
        raise UsageError(f"--interpolate must be two seeds, as 0,1. Received: {ends}")
    check_seeds(seeds)
    truncation = flags.FLAGS.truncation
    if truncation is not None and not 0 < truncation < float("inf"):
        raise UsageError(f"--truncation must be positive. Received: {truncation}")
    run = RunDirectory(run_dir)
    config = run.read_config()
    columns = len(seeds) if seeds else flags.FLAGS.columns
    classes = row_labels(config.num_classes, 1 if ends or seeds else columns)
    # TensorFlow takes seconds to import: not before the flags are known to be good.
    from keras_sagan.training.sampling import make_sampler
    from keras_sagan.training.state import restore_generator

    folder = run.checkpoints / ("best" if flags.FLAGS.checkpoint == "best" else "")
    generator, step = restore_generator(config, folder, flags.FLAGS.ema)
    latents = make_latents(ends, seeds, len(classes), columns, config.z_dim, truncation)
    labels = np.repeat(classes, columns).astype(np.int32)
    images = make_sampler(generator)(latents, labels)
    output = pathlib.Path(flags.FLAGS.output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        save_png(make_grid(images, columns), output, config.image_size)
    except OSError as error:
        raise RunError(f"--output={output} cannot be written: {error}") from error
    if config.is_symmetry:
        print(f"coherence: {coherence(images, labels):.3f} (1: as real images)")
    of_classes = f", a row each of labels {classes}" if config.num_classes else ""
    print(f"{len(images)} images of step {step}{of_classes}: {output}")


def check_seeds(seeds):
    """Flags that `--seeds` would make mean nothing must not look as if they did."""
    if seeds is None:
        return
    if not seeds:
        raise UsageError("--seeds must be seeds, as 0,1. Received: none")
    others = ("columns", "seed", "interpolate")
    given = [f"--{name}" for name in others if flags.FLAGS[name].present]
    if given:
        raise UsageError(
            f"--seeds says what each column is. Received beside it: {', '.join(given)}"
        )


def make_latents(ends, seeds, rows, columns, z_dim, truncation):
    """`[rows * columns, z_dim]`: the same for each row, or independent ones without seeds.

    Args:
        ends: two seeds, between which a row goes, or None.
        seeds: one for each column, or None.
        rows: int.
        columns: int.
        z_dim: int.
        truncation: float or None.
    """
    from keras_sagan.training.sampling import latents_of

    def latent(seed):
        return latents_of(seed, 1, z_dim, truncation).numpy()[0]

    if ends:
        start, end = map(latent, ends)
        return np.tile(great_circle(start, end, columns), (rows, 1))
    if seeds:
        return np.tile([latent(seed) for seed in seeds], (rows, 1))
    return latents_of(flags.FLAGS.seed, rows * columns, z_dim, truncation).numpy()


def great_circle(start, end, count):
    """`count` vectors from `start` to `end`, `[count, n]`: angle and length change evenly.

    White 2016, https://arxiv.org/abs/1609.04468, section 2.1.
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    cosine = np.clip(np.dot(start / lengths[0], end / lengths[1]), -1, 1)
    angle = np.arccos(cosine)
    t = np.linspace(0, 1, count)[:, None]
    if np.sin(angle) < 1e-6:
        return ((1 - t) * start + t * end).astype(np.float32)
    direction = (
        np.sin((1 - t) * angle) * start / lengths[0] + np.sin(t * angle) * end / lengths[1]
    ) / np.sin(angle)
    return (((1 - t) * lengths[0] + t * lengths[1]) * direction).astype(np.float32)


def row_labels(num_classes, rows):
    """The class of each row; for a run without classes, `rows` times the label it ignores."""
    labels = whole_numbers("labels")
    if num_classes == 0:
        if labels is not None:
            raise UsageError(f"--labels needs a run with classes. Received: {labels}")
        return [0] * rows
    if labels is None:
        return list(range(min(num_classes, 10)))
    outside = [label for label in labels if label >= num_classes]
    if outside or not labels:
        raise UsageError(f"--labels must be in 0...{num_classes - 1}. Received: {labels}")
    return labels


def whole_numbers(name):
    """A list flag as non-negative ints; None if it was not given."""
    texts = getattr(flags.FLAGS, name)
    if texts is None:
        return None
    if not all(text.strip().isdecimal() and int(text) < 2**31 for text in texts):
        raise UsageError(
            f"--{name} must be whole numbers below 2^31, as 3,7. Received: {','.join(texts)}"
        )
    return [int(text) for text in texts]


if __name__ == "__main__":
    commands.run(main, __doc__)
