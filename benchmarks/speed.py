"""Speed, memory and costs of training and sampling, by model and setting.

python -m benchmarks.speed --models=sagan,keras_naive --image_sizes=32,128 --jit=off,on
python -m benchmarks.speed --precisions=float32,mixed_bfloat16 --format=json

Every combination is a setting and gives a row. In each round every setting has one turn, in a
process of its own, so that what else the machine does falls on all alike; ratios are to the first
setting in the same round, of training images per second. Data are noise, fed as training feeds it.
`utilization` is the part of a matrix product's FLOP/s, measured in the same turn, that training
achieves. A setting that fails is a row that says why, and then the exit code is 1.
"""

import itertools
import statistics
import sys

import numpy as np
from absl import flags

from benchmarks import apart
from keras_sagan import commands
from keras_sagan.config import Config
from keras_sagan.errors import RunError, UsageError
from keras_sagan.training.run_directory import PACKAGES

PLAIN = {"g_spectral_norm": False, "d_spectral_norm": False}
NO_ATTENTION = {"g_attention": "none", "d_attention": "none"}
# What of `Config` makes each model.
MODELS = {
    "sagan": {},
    "sagan_without_attention": NO_ATTENTION,
    "sagan_without_sn": PLAIN,
    "dcgan": {"model": "dcgan", "loss": "non_saturating"} | PLAIN | NO_ATTENTION,
    "keras_naive": {},
}
COLUMNS = (
    *("model", "image_size", "batch_size", "precision", "jit", "status", "error"),
    *("train_images_per_s", "ratio", "ratio_least_and_most", "sample_images_per_s"),
    *("step_ms_p50", "step_ms_p95", "compile_s", "host_peak_mib", "device_peak_mib"),
    *("g_macs", "d_macs", "utilization", "device"),
)

flags.DEFINE_list("models", ["sagan", "keras_naive", "dcgan"], f"Some of {', '.join(MODELS)}.")
flags.DEFINE_list("image_sizes", ["32"], "Heights of images, in pixels.")
flags.DEFINE_list("batch_sizes", ["8"], "Images a step.")
flags.DEFINE_list("precisions", ["float32"], "Some of float32, mixed_bfloat16.")
flags.DEFINE_list("jit", ["off"], "Whether XLA compiles the steps: some of auto, off, on.")
flags.DEFINE_integer("g_channels", 16, "Channels of the generator's last feature maps.")
flags.DEFINE_integer("d_channels", 16, "Channels of the discriminator's first feature maps.")
flags.DEFINE_integer("num_classes", 10, "Classes; 0: unconditional.", lower_bound=0)
flags.DEFINE_integer("steps", 20, "Timed training steps a turn.", lower_bound=1)
flags.DEFINE_integer("warmup_steps", 5, "Steps before them, after the first.", lower_bound=0)
flags.DEFINE_integer("steps_per_call", 1, "Steps in one call of the runtime.", lower_bound=1)
flags.DEFINE_integer("rounds", 3, "Turns of each setting; figures are medians.", lower_bound=1)
flags.DEFINE_enum("format", "text", ["text", "json"], "json: one object a row.")


def main():
    settings = settings_from_flags()
    turns = [[] for _ in settings]
    for number in range(1, flags.FLAGS.rounds + 1):
        for setting, own in zip(settings, turns, strict=True):
            if own and "error" in own[-1]:
                continue
            line = " ".join(map(str, setting.values()))
            print(f"round {number}/{flags.FLAGS.rounds}: {line}", file=sys.stderr, flush=True)
            own.append(apart.call("benchmarks.speed_turn", request(setting)))
    rows = [summary(own, turns[0]) for own in turns]
    common = shared() | apart.provenance(PACKAGES)
    for setting, row in zip(settings, rows, strict=True):
        apart.show({"benchmark": "speed"} | setting | row | common, flags.FLAGS.format, COLUMNS)
    failed = sum(row["status"] == "failed" for row in rows)
    if failed:
        raise RunError(f"{failed} of {len(rows)} settings failed")


def settings_from_flags():
    """All combinations, each checked as a `Config`.

    Raises:
        UsageError: if one is impossible.
    """
    names = ("model", "image_size", "batch_size", "precision", "jit")
    values = flags.FLAGS
    for name in ("steps", "warmup_steps"):
        if getattr(values, name) % values.steps_per_call:
            raise UsageError(
                f"--{name} must be a multiple of --steps_per_call={values.steps_per_call}. "
                f"Received: {getattr(values, name)}"
            )
    lists = (
        values.models,
        numbers("image_sizes"),
        numbers("batch_sizes"),
        values.precisions,
        values.jit,
    )
    settings = [dict(zip(names, each, strict=True)) for each in itertools.product(*lists)]
    if not settings:
        raise UsageError("expected at least one value in each list of flags")
    for setting in settings:
        config_of(setting)
    return settings


def numbers(name):
    texts = getattr(flags.FLAGS, name)
    if not all(text.isdecimal() for text in texts):
        raise UsageError(f"--{name} must be numbers, as 32,64. Received: {','.join(texts)}")
    return [int(text) for text in texts]


def shared():
    """Flags that all settings have in common."""
    names = ("g_channels", "d_channels", "num_classes", "steps", "warmup_steps", "steps_per_call")
    return {name: getattr(flags.FLAGS, name) for name in (*names, "rounds")}


def config_of(setting):
    if setting["model"] not in MODELS:
        raise UsageError(
            f"--models must be some of {', '.join(MODELS)}. Received: {setting['model']}"
        )
    return Config(
        dataset="synthetic",
        image_size=setting["image_size"],
        batch_size=setting["batch_size"],
        precision=setting["precision"],
        jit_compile=setting["jit"],
        g_channels=flags.FLAGS.g_channels,
        d_channels=flags.FLAGS.d_channels,
        num_classes=flags.FLAGS.num_classes,
        replicas=1,
        **MODELS[setting["model"]],
    )


def request(setting):
    """What `speed_turn.measure` takes."""
    names = ("steps", "warmup_steps", "steps_per_call")
    counts = {name: getattr(flags.FLAGS, name) for name in names}
    return {"model": setting["model"], "config": config_of(setting).to_json()} | counts


def summary(turns, first_turns):
    """Figures of a setting from its turns; medians, but for percentiles over all its calls.

    Args:
        turns: list of dicts, what `speed_turn.measure` gave in each round.
        first_turns: the same of the setting that ratios are to.
    """
    if "error" in turns[-1]:
        return {"status": "failed", "error": turns[-1]["error"]}
    figures = ("train_images_per_s", "sample_images_per_s", "compile_s", "matmul_flops_per_s")
    calls = [seconds for turn in turns for seconds in turn["call_s"]]
    macs = turns[0]["g_macs"], turns[0]["d_macs"]
    peaks = {
        name: max((turn[name] for turn in turns if turn[name] is not None), default=None)
        for name in ("host_peak_mib", "device_peak_mib")
    }
    return {
        "status": "ok",
        **{name: rounded(statistics.median(turn[name] for turn in turns)) for name in figures},
        "step_ms_p50": step_ms(calls, 50),
        "step_ms_p95": step_ms(calls, 95),
        **peaks,
        "g_macs": macs[0],
        "d_macs": macs[1],
        "utilization": rounded(statistics.median(utilization(turn) for turn in turns)),
        "train_images_per_s_by_round": [rounded(turn["train_images_per_s"]) for turn in turns],
        **ratios(turns, first_turns),
        "device": turns[0]["device"],
    }


def step_ms(calls, percentile):
    """A percentile of milliseconds a step, of seconds a call."""
    return rounded(float(np.percentile(calls, percentile)) * 1000 / flags.FLAGS.steps_per_call)


def training_macs(g_macs, d_macs):
    """Multiply-accumulates an image of one training step, from those of a forward pass.

    D's turn: G forward; D forward and back on real images and fakes. G's turn: both forward and
    back, D without gradients of its weights. Going back costs a forward pass for the gradients of
    the weights and one for those of the inputs.
    """
    d_turn = g_macs + 2 * 3 * d_macs
    g_turn = 3 * g_macs + 2 * d_macs
    return d_turn + g_turn


def utilization(turn):
    """FLOP/s of training as a part of those of a matrix product."""
    flops = 2 * training_macs(turn["g_macs"], turn["d_macs"])
    return flops * turn["train_images_per_s"] / turn["matmul_flops_per_s"]


def ratios(turns, first_turns):
    """Training images per second over those of the first setting in the same round."""
    if "error" in first_turns[-1]:
        return {"ratio": None, "ratio_least_and_most": None}
    pairs = zip(turns, first_turns, strict=True)
    each = sorted(own["train_images_per_s"] / first["train_images_per_s"] for own, first in pairs)
    return {
        "ratio": rounded(statistics.median(each)),
        "ratio_least_and_most": [rounded(each[0]), rounded(each[-1])],
    }


def rounded(value):
    """Four significant digits."""
    return float(f"{value:.4g}")


if __name__ == "__main__":
    commands.run(main, __doc__)
