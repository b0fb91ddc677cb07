"""Compares our layers with the alternatives.

python -m benchmarks.layers
python -m benchmarks.layers --image_size=64 --channels=128 --format=json

`spectral` compares `SpectralConv2D` with our SpectralNormalization (`keras_sagan_wrapper`), Keras'
and TensorFlow Addons' around a convolution, each as a layer in training: how far the kernel in use
is from spectral norm 1 (`sigma_errors`, by step), how far its gradient is from the gradient of
W / sigma(W) by autodiff (`gradient_distance`), and how much two training calls alone change the
weights (`kernel_change`).

`attention` compares `SelfAttention` with the usual attention layer at equal weights: the distance
between their outputs and gradients.

`blocks_float32` and `blocks_bfloat16` compare attention in blocks with attention `at_once`: queries
and keys have `channels` / 8 channels, values `channels` / 2, and keys half the height. `extra_mib`
is the memory of the first pass without its inputs.

Every row has the milliseconds of a pass forward and backward, their ratio to our layer's in the
same round, and the memory of a process that does nothing else.
"""

import importlib.util
import itertools

from absl import flags

from benchmarks.measure.subprocesses import (
    compute_ratios,
    gather_provenance,
    max_peaks,
    measure_in_rounds,
    median_digits,
    print_rows,
)
from keras_sagan import commands
from keras_sagan.errors import UsageError
from keras_sagan.runs.provenance import PACKAGES

LAYERS = {
    "spectral": ("keras_sagan", "keras_sagan_wrapper", "keras", "tensorflow_addons"),
    "attention": ("keras_sagan", "keras_naive"),
    "blocks_float32": ("keras_sagan", "at_once"),
    "blocks_bfloat16": ("keras_sagan", "at_once"),
}
COLUMNS = (
    *("part", "layer", "status", "error", "gradient_distance", "gradient_cosine", "kernel_change"),
    *("sigma_errors", "output_distance", "ms_p50", "ratio", "ratio_least_and_most", "ms_p95"),
    *("host_peak_mib", "extra_mib", "device_peak_mib", "device"),
)
PEERS = ("tensorflow_addons", "tf_keras")

flags.DEFINE_list("parts", sorted(LAYERS), "What to compare.")
flags.DEFINE_integer("image_size", 32, "Height of the feature maps, in pixels.", lower_bound=2)
flags.DEFINE_integer("channels", 64, "Input and output channels.", lower_bound=2)
flags.DEFINE_integer("batch_size", 16, "Feature maps in a batch.", lower_bound=1)
flags.DEFINE_integer("steps", 100, "Training steps, and timed passes per round.", lower_bound=1)
flags.DEFINE_integer(
    "rounds", 3, "Measurements of each layer; times are medians over them.", lower_bound=1
)
flags.DEFINE_enum("format", "text", ["text", "json"], "json: one JSON object per row.")


def main():
    given = flags.FLAGS
    names = ("image_size", "channels", "batch_size", "steps")
    settings = {name: getattr(given, name) for name in names}
    wanted = [(part, layer) for part in LAYERS if part in given.parts for layer in LAYERS[part]]
    if not wanted:
        known, received = ", ".join(sorted(LAYERS)), ",".join(given.parts)
        raise UsageError(f"--parts must be some of {known}. Received: {received}")
    has_addons = all(map(importlib.util.find_spec, PEERS))
    available = [each for each in wanted if each[1] != "tensorflow_addons" or has_addons]
    requests = list(itertools.starmap(make_request, available))
    answers = measure_in_rounds("benchmarks.measure.layers_worker", requests, given.rounds)
    answers = dict(zip(available, answers, strict=True))
    common = settings | {"rounds": given.rounds} | gather_provenance((*PACKAGES, *PEERS))
    rows = [
        {"benchmark": "layers", "part": part, "layer": layer}
        | summarize_layer(answers.get((part, layer)), answers[part, "keras_sagan"])
        | common
        for part, layer in wanted
    ]
    print_rows(rows, given.format, COLUMNS)


def make_request(part, layer):
    """A request for `measure_in_rounds`, answered by `layers_worker.measure_layer`."""
    given = flags.FLAGS
    shape = [given.batch_size, given.image_size, given.image_size, given.channels]
    asked = {"part": part, "layer": layer, "shape": shape, "steps": given.steps}
    # Addons can only be imported if tf.keras is Keras 2 in the whole process.
    environment = {"TF_USE_LEGACY_KERAS": "1"} if layer == "tensorflow_addons" else {}
    return {"name": f"{part} {layer}", "request": asked, "environment": environment}


def summarize_layer(measurements, references):
    """Figures of a layer. All but times and memory are the same in every round.

    Both lists have one `layers_worker.measure_layer` per round; `references` is our layer's.
    `measurements` is None if the layer is not installed.
    """
    if measurements is None:
        reason = "not installed; on Python 3.11: pip install '.[peers]'"
        return {"status": "unavailable", "error": reason}
    if "error" in measurements[-1]:
        return {"status": "failed", "error": measurements[-1]["error"]}
    milliseconds = {name: median_digits(measurements, name) for name in ("ms_p50", "ms_p95")}
    ratios = compute_ratios("ms_p50", measurements, references)
    return {"status": "ok"} | measurements[0] | milliseconds | ratios | max_peaks(measurements)


if __name__ == "__main__":
    commands.run(main, __doc__)
