"""The report of `benchmarks.attention`: what it measured, in tables and pictures."""

import pandas as pd

from benchmarks import plots
from benchmarks.cells import counted, fixed, listed, plus_minus
from benchmarks.page import Code, Picture, Pictures, Section, Table
from keras_sagan.metrics.coherence import CLASSES
from keras_sagan.metrics.counterpart import RADIUS

TITLE = "Does attention look at the mirrored place?"
MAPS = "samples/maps.png"
LAYER = ["layer", "images"]
FIGURES = [
    *("share", "even", "times_even", "others_times_even"),
    *("peak_times_even", "same_peak"),
]
HEADER = [
    *("share, %", "even, %", "times even"),
    *("untrained, times even", "other classes, times even", "peak, times even"),
    "same peak, %",
]
READING = (
    "In images of the set symmetry the class says which position mirrors or repeats which: its "
    f"counterpart. A share is the part of a position's attention that goes to keys within {RADIUS} "
    "positions of the counterpart, in both directions, by the centers of the keys, which are "
    "squares of 2x2 positions; a mean over positions, images and classes, then over seeds, with "
    "the standard deviation over seeds. Positions are those of the layer's feature map. Those "
    f"nearer than {2 * RADIUS} to their counterpart do not count, since there a look around "
    "oneself would pass for knowledge. “Even” is the share of a map without preferences, and "
    "“times even” how many times that a share is: of the trained network; of the same one before "
    "its first step; of the trained one at the places that the three other classes would make "
    "equal; and of the trained one at the key that a position attends to most, which is 1 if "
    "nothing is preferred. “Same peak” is the part of an image's positions that attend most to "
    "one and the same key."
)
ADDS = (
    "Attention is added to its input by gamma, which starts at 0: a map matters as far as gamma "
    "is not 0. Coherence is the correlation of the halves of generated images: by their own class, "
    "as other classes would have them, and by the own class with every gamma of the generator set "
    "to 0 after training."
)


def sections(rows, maps):
    """All sections, in order.

    Args:
        rows: list of dicts, as of `attention_turn.measure`, of all runs.
        maps: bytes, the PNG file `MAPS`.
    """
    runs = pd.DataFrame([row for row in rows if row["part"] == "run"])
    shares = pd.DataFrame([row for row in rows if row["part"] == "share"])
    return [
        Section("What was measured", [measured(runs, shares), READING]),
        Section("Where attention looks", [share_table(shares)]),
        Section("Class by class", [class_table(shares)]),
        Section("What attention adds", [ADDS, run_table(runs), Pictures(gamma_pictures(runs))]),
        Section("Maps", [Pictures([maps_picture(runs, maps)])]),
        Section("Provenance", provenance(runs)),
    ]


def measured(runs, shares):
    steps = listed(sorted({f"{step:,}" for step in runs["step"]}))
    of_class = listed(sorted(set(shares["count"])))
    seeds = "seed" if len(runs) == 1 else "seeds"
    return (
        f"{counted(len(runs), 'run')} with {seeds} {listed(runs['seed'])}, trained for {steps} "
        f"steps; {of_class} images of each of the {len(CLASSES)} classes, generated and real."
    )


def share_table(shares):
    """A line for each layer and kind of images: means over classes, then over seeds."""
    by_seed = shares.groupby([*LAYER, "condition", "seed"], sort=False)[FIGURES].mean()
    rows = [
        [*names, *cells(own)] for names, own in by_seed.reset_index().groupby(LAYER, sort=False)
    ]
    return Table("Attention at the counterpart", [*LAYER, *HEADER], rows, texts=2)


def class_table(shares):
    """A line for each layer, kind of images and class: means over seeds."""
    rows = [
        [layer, images, CLASSES[label], *cells(own)]
        for (layer, images, label), own in shares.groupby([*LAYER, "label"], sort=False)
    ]
    header = [*LAYER, "class", *HEADER]
    return Table("Attention at the counterpart of each class", header, rows, texts=3)


def cells(shares):
    """Cells below `HEADER`; `shares` has one line for each condition and seed."""
    trained = shares[shares["condition"] == "trained"]
    untrained = shares[shares["condition"] == "untrained"]
    times = (
        trained["times_even"],
        untrained["times_even"],
        trained["others_times_even"],
        trained["peak_times_even"],
    )
    return [
        plus_minus(100 * trained["share"].mean(), 100 * trained["share"].std(), 1),
        fixed(100 * trained["even"].mean(), 1),
        *(plus_minus(each.mean(), each.std(), 2) for each in times),
        plus_minus(100 * trained["same_peak"].mean(), 100 * trained["same_peak"].std(), 0),
    ]


def run_table(runs):
    """A line for each run: its last gammas, and its coherence with attention and without."""
    layers = list(runs["gammas"].iloc[0])
    figures = ["coherence", "coherence_by_other_classes", "coherence_without_attention"]
    rows = []
    for _, run in runs.iterrows():
        gammas = [fixed(run["gammas"][layer][-1][1], 3) for layer in layers]
        values = [fixed(run[name], 3) for name in figures]
        rows.append([f"seed {run['seed']}", f"{run['step']:,}", *gammas, *values])
    header = ["run", "steps", *(f"gamma, {layer}" for layer in layers)]
    header += ["coherence", "by other classes", "without attention"]
    return Table("Gammas at the end, and coherence of generated images", header, rows)


def gamma_pictures(runs):
    """Gamma of each layer over training: a line with a band over seeds."""
    lines = pd.DataFrame(
        [
            {"row": layer, "seed": run["seed"], "step": step, "x": step, "value": gamma}
            for _, run in runs.iterrows()
            for layer, records in run["gammas"].items()
            for step, gamma in records
        ]
    ).assign(status="ok")
    order = list(dict.fromkeys(lines["row"]))
    data = plots.curves(lines, order, "generator updates", "gamma")
    alt = f"Curves of gamma over generator updates; layers: {listed(order)}."
    caption = "Gamma of each layer over generator updates: mean, least and most seed; 0 at first."
    return [Picture("plots/gamma.png", data, alt, caption)]


def maps_picture(runs, maps):
    alt = (
        "A generated image of each class with five positions marked, and for each of them the "
        "attention of the generator's last layer, with a dotted square around its counterpart."
    )
    caption = (
        "Generated images of each class and where five of their positions look in the generator's "
        f"last layer, seed {runs['seed'].iloc[0]}. Dotted: what counts as near the counterpart."
    )
    return Picture(MAPS, maps, alt, caption)


def provenance(runs):
    first = runs.iloc[0]
    versions = [f"{name} {version}" for name, version in first["versions"].items() if version]
    trained = first["trained_by"]
    facts = [
        ["command", first["command"]],
        ["commit", str(first["commit"])],
        ["commit of training", ", ".join(sorted({str(by["commit"]) for by in runs["trained_by"]}))],
        ["data", f"{trained['data']['dataset']}, content {trained['data']['sha256'][:12]}"],
        ["minutes of training", ", ".join(fixed(each / 60, 1) for each in runs["seconds"])],
        ["machine", f"{first['machine']}, {first['cpus']} CPUs"],
        ["versions", ", ".join(versions)],
    ]
    config = [f"{name}: {value}" for name, value in first["config"].items()]
    return [
        Table("Where the figures come from", ["", "value"], facts, texts=2),
        Code("Configuration, but for the seed", [line for line in config if line[:5] != "seed:"]),
        Code("Commands of the trainings", [" ".join(by["command"]) for by in runs["trained_by"]]),
    ]
