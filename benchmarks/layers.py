"""Our layers against what one would take instead.

python -m benchmarks.layers
python -m benchmarks.layers --image_size=64 --channels=128 --format=json

`spectral`: `SpectralConv2D`, Keras' SpectralNormalization around a convolution, and that of
TensorFlow Addons, each as a layer that is trained: how far the kernel that it convolves with is
from spectral norm 1 (`sigma_errors`, by step), how far its gradient is from that of W / sigma(W)
by autodiff (`gradient_distance`), by how much two training calls alone change the weights
(`kernel_change`). `attention`: `SelfAttention` and the usual attention layer, with equal weights:
how far outputs and gradients are apart. `blocks_float32`, `blocks_bfloat16`: queries, keys and
values of `channels` / 8 and / 2 channels, keys of half the height, in blocks and `at_once`;
`extra_mib` is the memory that the first pass takes besides its inputs. For all: milliseconds of a
pass forward and back, with ratios to ours in the same round, and memory of a process that does
nothing else.
"""

import importlib.util
import statistics

from absl import flags

from benchmarks import apart
from keras_sagan import commands
from keras_sagan.errors import UsageError
from keras_sagan.runs.provenance import PACKAGES

ROWS = (
    ("spectral", "keras_sagan"),
    ("spectral", "keras"),
    ("spectral", "tensorflow_addons"),
    ("attention", "keras_sagan"),
    ("attention", "keras_naive"),
    ("blocks_float32", "keras_sagan"),
    ("blocks_float32", "at_once"),
    ("blocks_bfloat16", "keras_sagan"),
    ("blocks_bfloat16", "at_once"),
)
COLUMNS = (
    *("part", "layer", "status", "error", "gradient_distance", "gradient_cosine", "kernel_change"),
    *("sigma_errors", "output_distance", "ms_p50", "ratio", "ratio_least_and_most", "ms_p95"),
    *("host_peak_mib", "extra_mib", "device_peak_mib", "device"),
)
PEERS = ("tensorflow_addons", "tf_keras")

flags.DEFINE_list("parts", sorted({part for part, _ in ROWS}), "What is compared.")
flags.DEFINE_integer("image_size", 32, "Height of the feature maps, in pixels.", lower_bound=2)
flags.DEFINE_integer("channels", 64, "Channels in and out.", lower_bound=2)
flags.DEFINE_integer("batch_size", 16, "Feature maps in a batch.", lower_bound=1)
flags.DEFINE_integer("steps", 100, "Training steps, and timed passes a turn.", lower_bound=1)
flags.DEFINE_integer("rounds", 3, "Turns of each layer; times are medians.", lower_bound=1)
flags.DEFINE_enum("format", "text", ["text", "json"], "json: one object a row.")


def main():
    names = ("image_size", "channels", "batch_size", "steps")
    settings = {name: getattr(flags.FLAGS, name) for name in names}
    wanted = [each for each in ROWS if each[0] in flags.FLAGS.parts]
    if not wanted:
        raise UsageError(
            f"--parts must be some of {', '.join(sorted({part for part, _ in ROWS}))}. "
            f"Received: {','.join(flags.FLAGS.parts)}"
        )
    available = [each for each in wanted if each[1] != "tensorflow_addons" or addons_installed()]
    requests = [request(part, layer, settings) for part, layer in available]
    turns = apart.interleaved("benchmarks.layers_turn", requests, flags.FLAGS.rounds)
    turns = dict(zip(available, turns, strict=True))
    common = settings | {"rounds": flags.FLAGS.rounds} | apart.provenance((*PACKAGES, *PEERS))
    rows = [
        {"benchmark": "layers", "part": part, "layer": layer}
        | summary(turns.get((part, layer)), turns[part, "keras_sagan"])
        | common
        for part, layer in wanted
    ]
    apart.report(rows, flags.FLAGS.format, COLUMNS)


def addons_installed():
    return all(map(importlib.util.find_spec, PEERS))


def request(part, layer, settings):
    """What `apart.interleaved` takes; the request itself is for `layers_turn.measure`."""
    asked = {"part": part, "layer": layer} | settings
    # Addons import only if tf.keras is Keras 2 in their whole process.
    environment = {"TF_USE_LEGACY_KERAS": "1"} if layer == "tensorflow_addons" else {}
    return {"name": f"{part} {layer}", "request": asked, "environment": environment}


def summary(turns, first_turns):
    """Figures of a layer from its turns; all but times and memory are the same in each.

    Args:
        turns: list of dicts, what `layers_turn.measure` gave in each round; None if not installed.
        first_turns: the same of our layer.
    """
    if turns is None:
        reason = "not installed; on Python 3.11: pip install '.[peers]'"
        return {"status": "unavailable", "error": reason}
    if "error" in turns[-1]:
        return {"status": "failed", "error": turns[-1]["error"]}
    milliseconds = {
        name: apart.rounded(statistics.median(turn[name] for turn in turns))
        for name in ("ms_p50", "ms_p95")
    }
    ratios = apart.ratios("ms_p50", turns, first_turns)
    return {"status": "ok"} | turns[0] | milliseconds | ratios | apart.highest_peaks(turns)


if __name__ == "__main__":
    commands.run(main, __doc__)
