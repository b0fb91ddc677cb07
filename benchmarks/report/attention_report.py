"""The report of `benchmarks.attention`: tables and pictures of its measurements."""

import pandas as pd

from benchmarks.report import plots
from benchmarks.report.document import Code, Picture, Pictures, Section, Table
from benchmarks.report.formatting import count_noun, format_deviation, format_number, join_words
from keras_sagan.metrics.coherence import CLASSES
from keras_sagan.metrics.counterpart import RADIUS

TITLE = "Does attention look at the mirrored position?"
MAPS = "samples/maps.png"
LAYER = ["layer", "images"]
FIGURES = [*("share", "even", "times_even", "others_times_even"), *("peak_times_even", "same_peak")]
HEADER = [
    *("share, %", "even, %", "times even"),
    *("untrained, times even", "other classes, times even", "peak, times even"),
    "same peak, %",
]
READING = (
    "In images of the data set symmetry, the class determines which position mirrors or repeats "
    "which: its counterpart. A share is the fraction of a position's attention that goes to keys "
    f"whose centers are within {RADIUS} positions of the counterpart, vertically and horizontally; "
    "keys are squares of 2x2 positions of the layer's feature map. Shares are means over "
    "positions, images and classes, then over seeds, with the standard deviation over seeds. "
    f"Positions nearer than {2 * RADIUS} to their counterpart are excluded, because there "
    "attention to the surroundings would look like knowledge of the counterpart. “Even” is the "
    "share of a uniform map. “Times even” is a share divided by it: of the trained network; of the "
    "network before its first step; of the trained network at the counterparts of the three other "
    "classes; and of the trained network at the key that a position attends to most, where 1 means "
    "no preference. “Same peak” is the largest fraction of an image's positions that attend most "
    "to the same key."
)
ADDS = (
    "Attention is multiplied by gamma, which starts at 0, and added to its input. A map therefore "
    "only matters if gamma is not 0. Coherence is the correlation between the halves of generated "
    "images: as their own class relates them, as other classes would, and as their own class does "
    "if every gamma of the generator is set to 0 after training."
)


def attention_sections(rows, maps):
    """All sections, in order, from `measure_run`'s rows of all runs and the PNG bytes of `MAPS`."""
    runs = pd.DataFrame([row for row in rows if row["part"] == "run"])
    shares = pd.DataFrame([row for row in rows if row["part"] == "share"])
    return [
        Section("What was measured", [describe_runs(runs, shares), READING]),
        Section("Where attention looks", [share_table(shares)]),
        Section("Class by class", [class_table(shares)]),
        Section("What attention adds", [ADDS, run_table(runs), Pictures(gamma_pictures(runs))]),
        Section("Maps", [Pictures([maps_picture(runs, maps)])]),
        Section("Provenance", provenance_blocks(runs)),
    ]


def describe_runs(runs, shares):
    steps = join_words(sorted({f"{step:,}" for step in runs["step"]}))
    of_class = join_words(sorted(set(shares["count"])))
    seeds = f"{'seed' if len(runs) == 1 else 'seeds'} {join_words(runs['seed'])}"
    return (
        f"{count_noun(len(runs), 'run')} with {seeds}, trained for {steps} steps; "
        f"{of_class} images of each of the {len(CLASSES)} classes, generated and real."
    )


def share_table(shares):
    """A line for each layer and kind of images: means over classes, then over seeds."""
    by_seed = shares.groupby([*LAYER, "condition", "seed"], sort=False)[FIGURES].mean()
    rows = [
        [*names, *share_cells(own)]
        for names, own in by_seed.reset_index().groupby(LAYER, sort=False)
    ]
    return Table("Attention at the counterpart", [*LAYER, *HEADER], rows, texts=2)


def class_table(shares):
    """A line for each layer, kind of images and class: means over seeds."""
    rows = [
        [layer, images, CLASSES[label], *share_cells(own)]
        for (layer, images, label), own in shares.groupby([*LAYER, "label"], sort=False)
    ]
    header = [*LAYER, "class", *HEADER]
    return Table("Attention at the counterpart of each class", header, rows, texts=3)


def share_cells(shares):
    """Cells of the columns `HEADER`; `shares` has a line for each condition and seed."""
    trained = shares[shares["condition"] == "trained"]
    untrained = shares[shares["condition"] == "untrained"]
    others = [trained["others_times_even"], trained["peak_times_even"]]
    times = [trained["times_even"], untrained["times_even"], *others]
    return [
        format_deviation(100 * trained["share"].mean(), 100 * trained["share"].std(), 1),
        format_number(100 * trained["even"].mean(), 1),
        *(format_deviation(each.mean(), each.std(), 2) for each in times),
        format_deviation(100 * trained["same_peak"].mean(), 100 * trained["same_peak"].std(), 0),
    ]


def run_table(runs):
    """A line for each run: its final gammas, and its coherence with and without attention."""
    layers = list(runs["gammas"].iloc[0])
    figures = ["coherence", "coherence_by_other_classes", "coherence_without_attention"]
    rows = []
    for _, run in runs.iterrows():
        gammas = [format_number(run["gammas"][layer][-1][1], 3) for layer in layers]
        values = [format_number(run[name], 3) for name in figures]
        rows.append([f"seed {run['seed']}", f"{run['step']:,}", *gammas, *values])
    header = ["run", "steps", *(f"gamma, {layer}" for layer in layers)]
    header += ["coherence", "by other classes", "without attention"]
    return Table("Final gammas, and coherence of generated images", header, rows)


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
    data = plots.draw_curves(lines, order, "generator updates", "gamma")
    alt = f"Curves of gamma over generator updates; layers: {join_words(order)}."
    caption = "Gamma of each layer over generator updates: mean, minimum and maximum over seeds."
    return [Picture("plots/gamma.png", data, alt, caption)]


def maps_picture(runs, maps):
    alt = (
        "A generated image of each class with five marked positions, and for each position the "
        "attention of the generator's last layer, with a dotted square around the counterpart."
    )
    caption = (
        "Generated images of each class, and where five of their positions look in the generator's "
        f"last layer, seed {runs['seed'].iloc[0]}. Dotted: the area that counts as near the "
        "counterpart."
    )
    return Picture(MAPS, maps, alt, caption)


def provenance_blocks(runs):
    first = runs.iloc[0]
    versions = [f"{name} {version}" for name, version in first["versions"].items() if version]
    trained = first["trained_by"]
    facts = [
        ["command", first["command"]],
        ["commit", str(first["commit"])],
        ["commit of training", ", ".join(sorted({str(by["commit"]) for by in runs["trained_by"]}))],
        ["data", f"{trained['data']['dataset']}, content {trained['data']['sha256'][:12]}"],
        ["minutes of training", ", ".join(format_number(each / 60, 1) for each in runs["seconds"])],
        ["machine", f"{first['machine']}, {first['cpus']} CPUs"],
        ["versions", ", ".join(versions)],
    ]
    config = [f"{name}: {value}" for name, value in first["config"].items() if name != "seed"]
    commands = [" ".join(by["command"]) for by in runs["trained_by"]]
    return [
        Table("Where the figures come from", ["", "value"], facts, texts=2),
        Code("Configuration, except the seed", config),
        Code("Commands of the training runs", commands),
    ]
