"""What `benchmarks.attention` measures of one run."""

import dataclasses
import json

import numpy as np

from benchmarks import apart
from keras_sagan.data.prepared import prepare
from keras_sagan.metrics.coherence import CLASSES, coherence
from keras_sagan.metrics.counterpart import RADIUS, counterpart_share, counterparts
from keras_sagan.runs.checkpoints import Checkpoints, restore_generator
from keras_sagan.runs.provenance import PACKAGES
from keras_sagan.sampling.sampler import latents_of, make_sampler
from keras_sagan.training.state import State
from keras_sagan.visual.attention_figure import plot_attention
from keras_sagan.visual.maps import attention_maps

UNTRAINED, TRAINED = "untrained", "trained"
GENERATED, REAL = "generated", "real"
# Of the figure: rows and columns, as parts of height and width. None is near an axis of a mirror.
QUERIES = ((0.15, 0.15), (0.15, 0.7), (0.35, 0.3), (0.7, 0.15), (0.8, 0.8))


@dataclasses.dataclass(frozen=True)
class Subjects:
    """What the networks of a run are asked about, sorted by class.

    Attributes:
        latents: float32 `[n, z_dim]`.
        labels: int32 `[n]`.
        real: uint8 `[n, H, W, channels]`, real images of these classes.
    """

    latents: np.ndarray
    labels: np.ndarray
    real: np.ndarray

    @classmethod
    def choose(cls, config, num_images, seed):
        """As many of each class: latents of a seed, and the first real images."""
        prepared = prepare(config.image_set, config.data_dir, config.max_bad_fraction)
        each = num_images // len(CLASSES)
        labels = np.repeat(np.arange(len(CLASSES), dtype=np.int32), each)
        known = np.asarray(prepared.labels)
        indices = [np.flatnonzero(known == label)[:each] for label in range(len(CLASSES))]
        latents = latents_of(seed, len(labels), config.z_dim).numpy()
        return cls(latents, labels, prepared.images[np.concatenate(indices)])


def measure(run, config, num_images, seed):
    """Rows of one run.

    Args:
        run: `RunDirectory`.
        config: its `Config`.
        num_images: int, generated and real ones each.
        seed: int, of the latents.

    Returns:
        list of dicts: one whose `part` is "run", of `run_row`; the others "share", of `shares`.
    """
    subjects, state = Subjects.choose(config, num_images, seed), State.create(config)
    sample = make_sampler(state.ema_generator)
    rows = shares(state, sample, subjects, {"seed": config.seed, "condition": UNTRAINED})
    step = Checkpoints(run.checkpoints, state, config.keep_checkpoints).restore()
    rows += shares(state, sample, subjects, {"seed": config.seed, "condition": TRAINED})
    of_run = run_row(run, config, step) | coherences(state.ema_generator, sample, subjects)
    return [{"benchmark": "attention", "status": "ok"} | row for row in (of_run, *rows)]


def run_row(run, config, step):
    """What a run is: its configuration, its gammas, and where its numbers come from."""
    records = [json.loads(line) for line in (run.path / "train.jsonl").read_text().splitlines()]
    names = [name for name in records[0] if name.startswith("gamma/")]
    environment = run.read_environment()
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
        **apart.provenance(PACKAGES),
    }


def shares(state, sample, subjects, facts):
    """A row for each attention layer, kind of images and class.

    Args:
        state: `State`, of which the averaged generator and the discriminator are looked at.
        sample: function of latents and labels to images, by that generator.
        subjects: `Subjects`.
        facts: dict, part of each row.
    """
    fakes = sample(subjects.latents, subjects.labels)
    looked_at = [
        ("g", state.ema_generator, GENERATED, subjects.latents),
        ("d", state.discriminator, GENERATED, scaled(fakes)),
        ("d", state.discriminator, REAL, scaled(subjects.real)),
    ]
    rows = []
    for prefix, network, images, inputs in looked_at:
        for name, maps in attention_maps(network, inputs, subjects.labels).items():
            of_layer = {"part": "share", "layer": f"{prefix}_{name}", "images": images}
            for label in range(len(CLASSES)):
                own = maps[subjects.labels == label]
                rows.append(facts | of_layer | {"label": label} | share_row(own, label))
    return rows


def scaled(images):
    """Levels from 0 to 255 as the discriminator takes them, in [-1, 1]."""
    return images.astype(np.float32) * (2 / 255) - 1


def share_row(maps, label):
    """Shares of the maps of one class, `[n, H, W, h, w]`.

    Returns:
        dict: `count`, n; `share` at the counterparts of the class, `even`, that of a map without
        preferences, and `times_even`, their quotient; `others_times_even`, the mean quotient at
        the counterparts of the other classes; `peak_times_even`, of the most attended key;
        `same_peak`, the part of an image's positions whose most attended key is the same.
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


def coherences(generator, sample, subjects):
    """How well generated halves belong together: as trained, by other classes, without attention.

    Args:
        generator: that of `sample`; its gammas end as they are.
        sample: function of latents and labels to images.
        subjects: `Subjects`.
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
    turned = [coherence(images, (labels + shift) % len(CLASSES)) for shift in (1, 2, 3)]
    return {
        "coherence": coherence(images, labels),
        "coherence_by_other_classes": float(np.mean(turned)),
        "coherence_without_attention": coherence(without, labels),
    }


def figure(run, config, seed):
    """A generated image of each class, five of its positions, and where the last layer looks.

    Dotted squares mark the counterpart of each position, as large as what counts as near to it.

    Args:
        run: `RunDirectory`.
        config: its `Config`.
        seed: int, of the latents.

    Returns:
        `matplotlib.figure.Figure`.
    """
    generator, _ = restore_generator(config, run.checkpoints)
    labels = np.arange(len(CLASSES), dtype=np.int32)
    latents = latents_of(seed, len(labels), config.z_dim).numpy()
    images = make_sampler(generator)(latents, labels)
    maps = list(attention_maps(generator, latents, labels).values())[-1]
    size = maps.shape[1]
    queries = [(int(y * size), int(x * size)) for y, x in QUERIES]
    drawn = plot_attention(images, maps, queries, CLASSES)
    axes = iter(drawn.axes)
    for label in labels:
        next(axes)  # The image itself.
        places = counterparts(size, label)
        for query, axis in zip(queries, axes, strict=False):
            mark(axis, (places[query] + 0.5) / size, (2 * RADIUS) / size)
    return drawn


def mark(axis, center, side):
    """A dotted square on an axis that goes from 0 to 1, y downward."""
    from matplotlib.patches import Rectangle

    corner = center[1] - side / 2, center[0] - side / 2
    style = {"fill": False, "edgecolor": "white", "linestyle": ":", "linewidth": 1.5}
    axis.add_patch(Rectangle(corner, side, side, **style))
