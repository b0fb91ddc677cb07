"""The measurements of `benchmarks.attention` on one run."""

import dataclasses
import json

import numpy as np

from benchmarks.measure.subprocesses import gather_provenance
from keras_sagan.data.prepared import prepare
from keras_sagan.metrics.coherence import CLASSES, coherence
from keras_sagan.metrics.counterpart import RADIUS, counterpart_share, counterparts
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import Checkpoints, load_generator
from keras_sagan.runs.provenance import PACKAGES
from keras_sagan.sampling.sampler import latents_of, make_sampler
from keras_sagan.training.state import State
from keras_sagan.visual.attention_figure import plot_attention
from keras_sagan.visual.maps import attention_maps

UNTRAINED, TRAINED = "untrained", "trained"
GENERATED, REAL = "generated", "real"
# Rows and columns in the figure, as fractions of height and width, away from the mirrors' axes.
QUERIES = ((0.15, 0.15), (0.15, 0.7), (0.35, 0.3), (0.7, 0.15), (0.8, 0.8))


@dataclasses.dataclass(frozen=True)
class Subjects:
    """The inputs on which attention is measured, sorted by class."""

    latents: np.ndarray  # float32 `[n, z_dim]`.
    labels: np.ndarray  # int32 `[n]`.
    real: np.ndarray  # uint8 `[n, H, W, channels]`, real images of these classes.

    @classmethod
    def choose(cls, prepared, z_dim, num_images, seed):
        """Equally many of each class: latents of a seed, and the first real images."""
        per_class = num_images // len(CLASSES)
        labels = np.repeat(np.arange(len(CLASSES), dtype=np.int32), per_class)
        found = np.asarray(prepared.labels)
        indices = [np.flatnonzero(found == label)[:per_class] for label in range(len(CLASSES))]
        latents = latents_of(seed, len(labels), z_dim).numpy()
        return cls(latents, labels, prepared.images[np.concatenate(indices)])


def measure_run(run, num_images, seed):
    """Rows of the run in a `RunDirectory`, on `num_images` generated and as many real images.

    Returns:
        list of dicts: one with `part` "run" (`describe_run`, `measure_coherence`), the others with
        `part` "share" (`share_rows`).
    """
    config = run.read_config()
    prepared = prepare(config.image_set, config.data_dir, config.max_bad_fraction)
    subjects = Subjects.choose(prepared, config.z_dim, num_images, seed)
    state = State.create(config)
    sample = make_sampler(state.ema_generator)
    rows = share_rows(state, sample, subjects, {"seed": config.seed, "condition": UNTRAINED})
    step = Checkpoints(run.checkpoints, state, config.keep_checkpoints).restore().step
    rows += share_rows(state, sample, subjects, {"seed": config.seed, "condition": TRAINED})
    of_run = describe_run(run, step) | measure_coherence(state.ema_generator, sample, subjects)
    return [{"benchmark": "attention", "status": "ok"} | row for row in (of_run, *rows)]


def describe_run(run, step):
    """A run's configuration, its gammas over training, and its provenance."""
    records = [
        json.loads(line) for line in (run.path / "train.jsonl").read_text("utf-8").splitlines()
    ]
    names = [name for name in records[0] if name.startswith("gamma/")]
    config, environment = run.read_config(), run.read_environment()
    return {
        "part": "run",
        "seed": config.seed,
        "step": step,
        "seconds": records[-1]["seconds"],
        "gammas": {
            name.removeprefix("gamma/"): [[row["step"], row[name]] for row in records]
            for name in names
        },
        "config": json.loads(config.to_json()),
        "trained_by": {name: environment[name] for name in ("command", "commit", "data")},
        **gather_provenance(PACKAGES),
    }


def share_rows(state, sample, subjects, facts):
    """A row, with `facts`, for each attention layer, kind of images and class.

    Measured are the discriminator and the averaged generator of `state`, by which `sample` turns
    latents and labels into images.
    """
    fakes = sample(subjects.latents, subjects.labels)
    cases = [
        ("g", state.ema_generator, GENERATED, subjects.latents),
        # The discriminator's input is in [-1, 1].
        ("d", state.discriminator, GENERATED, fakes.astype(np.float32) * (2 / 255) - 1),
        ("d", state.discriminator, REAL, subjects.real.astype(np.float32) * (2 / 255) - 1),
    ]
    rows = []
    for prefix, network, images, inputs in cases:
        for name, maps in attention_maps(network, inputs, subjects.labels).items():
            layer = {"part": "share", "layer": f"{prefix}_{name}", "images": images}
            for label in range(len(CLASSES)):
                own = maps[subjects.labels == label]
                rows.append(facts | layer | {"label": label} | compute_shares(own, label))
    return rows


def compute_shares(maps, label):
    """Shares of the maps of one class, `[n, H, W, h, w]`.

    Returns:
        dict: `count`, n; `share` at the counterparts of the class; `even`, the share of a uniform
        map; `times_even`, their quotient; `others_times_even`, the mean quotient at the
        counterparts of the other classes; `peak_times_even`, the quotient of the most attended
        key; `same_peak`, the largest fraction of an image's positions with the same most attended
        key.
    """
    found = [counterpart_share(maps, each) for each in range(len(CLASSES))]
    times = [shares.mean() / even for shares, even in found]
    own_shares, even = found[label]
    flat = maps.reshape(len(maps), maps.shape[1] * maps.shape[2], -1)  # [n, queries, keys]
    same = [np.bincount(peaks).max() / len(peaks) for peaks in flat.argmax(axis=2)]
    return {
        "count": len(maps),
        "share": float(own_shares.mean()),
        "even": even,
        "times_even": float(times.pop(label)),
        "others_times_even": float(np.mean(times)),
        "peak_times_even": float(flat.max(axis=2).mean() * flat.shape[2]),
        "same_peak": float(np.mean(same)),
    }


def measure_coherence(generator, sample, subjects):
    """Coherence of generated images: by their class, by other classes, and without attention.

    The gammas of `generator`, which `sample` uses, are restored at the end.
    """
    labels = subjects.labels
    images = sample(subjects.latents, labels)
    layers = [layer for layer in generator.stack if hasattr(layer, "attention_map")]
    gammas = [float(layer.gamma.numpy()) for layer in layers]
    for layer in layers:
        layer.gamma.assign(0.0)
    without = sample(subjects.latents, labels)
    for layer, gamma in zip(layers, gammas, strict=True):
        layer.gamma.assign(gamma)
    others = [coherence(images, (labels + shift) % len(CLASSES)) for shift in (1, 2, 3)]
    return {
        "coherence": coherence(images, labels),
        "coherence_by_other_classes": float(np.mean(others)),
        "coherence_without_attention": coherence(without, labels),
    }


def draw_maps(run, seed):
    """Draws a generated image of each class and where the last layer looks from five positions.

    A dotted square marks the counterpart of each position; it is as large as the area that counts
    as near the counterpart. Returns a `matplotlib.figure.Figure`.
    """
    config = run.read_config()
    generator, _ = load_generator(config, newest_checkpoint(run.checkpoints))
    labels = np.arange(len(CLASSES), dtype=np.int32)
    latents = latents_of(seed, len(labels), config.z_dim).numpy()
    images = make_sampler(generator)(latents, labels)
    maps = list(attention_maps(generator, latents, labels).values())[-1]
    size = maps.shape[1]
    queries = [(int(y * size), int(x * size)) for y, x in QUERIES]
    figure = plot_attention(images, maps, queries, CLASSES)
    axes = iter(figure.axes)
    for label in labels:
        next(axes)  # The image itself.
        positions = counterparts(size, label)
        for query, axis in zip(queries, axes, strict=False):
            draw_square(axis, (positions[query] + 0.5) / size, (2 * RADIUS) / size)
    return figure


def draw_square(axis, center, side):
    """Draws a dotted square on an axis that goes from 0 to 1, y downward."""
    from matplotlib.patches import Rectangle

    corner = center[1] - side / 2, center[0] - side / 2
    style = {"fill": False, "edgecolor": "white", "linestyle": ":", "linewidth": 1.5}
    axis.add_patch(Rectangle(corner, side, side, **style))
