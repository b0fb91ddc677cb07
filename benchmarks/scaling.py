"""Training speed by the number of replicas, and predictions for many GPUs.

python -m benchmarks.scaling
python -m benchmarks.scaling --image_size=128 --batch_size=4 --rounds=5 --format=json

A setting is a number of processes on this machine and of replicas in each. The default settings
are 1x1, 1x2 (two parts of one CPU, `--strategy=mirrored`) and 2x1 (a cluster of two processes on
loopback, `--strategy=multi_worker`). Every replica has `--batch_size` images and, with
`--cores=1`, its own core, so that a second replica adds a processor as a second GPU would. In each
round, every setting is measured once. Ratios are of images per second, to the first setting in the
same round. Efficiency is the ratio divided by the number of replicas.

The rows for `--gpus` are arithmetic, not measurements. They state what the model of
`benchmarks/measure/scaling_model.py` predicts for the default networks (128 pixels, 64 channels)
with 1,000 classes. It uses the networks' counted costs and bytes, the share of a matrix product's
rate that the first setting achieved here, and the GPUs that the flags describe. A setting that
fails gives a row with the reason, and the exit code is then 1.
"""

import os
import re
import statistics

import numpy as np
from absl import flags

from benchmarks.measure.scaling_model import Machine, Work, count_gradient_bytes, predict_step
from benchmarks.measure.speed_row import training_macs, utilization
from benchmarks.measure.subprocesses import (
    compute_ratios,
    gather_provenance,
    measure_in_rounds,
    median_digits,
    print_rows,
    round_digits,
)
from keras_sagan import commands
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.runs.provenance import PACKAGES

COLUMNS = (
    *("setting", "status", "error", "rule", "gpus", "images_per_gpu", "images_per_s", "ratio"),
    *("ratio_least_and_most", "efficiency", "efficiency_most", "step_ms_p50", "step_ms_p95"),
    *("gradient_mib", "exchanged_mib", "exchanges", "compute_ms", "exchange_ms", "device"),
)
# Images per GPU by the number of GPUs, for both ways to scale.
RULES = {"32 images a GPU": lambda gpus: 32, "256 images in all": lambda gpus: 256 // gpus}

flags.DEFINE_list("settings", ["1x1", "1x2", "2x1"], "PROCESSESxREPLICAS of each; at most 16 each.")
flags.DEFINE_integer("image_size", 32, "Height of images, in pixels.")
flags.DEFINE_integer("channels", 16, "Channels of G's last and D's first feature maps.")
flags.DEFINE_integer("batch_size", 8, "Images per step and replica.", lower_bound=1)
flags.DEFINE_integer("num_classes", 10, "Classes; 0: unconditional.", lower_bound=0)
flags.DEFINE_enum("jit", "off", ["auto", "off", "on"], "Whether XLA compiles the steps.")
flags.DEFINE_integer("cores", 1, "CPU cores of each replica; 0: no limit.", lower_bound=0)
flags.DEFINE_integer("steps", 20, "Timed training steps per round.", lower_bound=1)
flags.DEFINE_integer(
    "warmup_steps", 5, "Untimed steps between the first step and the timed ones.", lower_bound=0
)
flags.DEFINE_integer(
    "rounds", 3, "Measurements of each setting; figures are medians over them.", lower_bound=1
)
flags.DEFINE_enum("format", "text", ["text", "json"], "json: one JSON object per row.")
flags.DEFINE_list("gpus", ["1", "2", "4", "8", "16", "32", "64"], "Numbers of GPUs to predict for.")
flags.DEFINE_float(
    "peak_tflops", 989.0, "Peak of one GPU, 10^12 FLOP/s (H100 SXM data sheet, bfloat16)."
)
flags.DEFINE_integer("gpus_per_host", 8, "GPUs in one host.", lower_bound=1)
flags.DEFINE_float(
    "link_gb_per_s", 450.0, "Link of a GPU inside its host, 10^9 bytes/s (NVLink, one way)."
)
flags.DEFINE_float(
    "network_gb_per_s", 50.0, "Link of a GPU to other hosts, 10^9 bytes/s (400 Gbit/s)."
)
flags.DEFINE_float("latency_us", 20.0, "Fixed cost of each all-reduce, microseconds; a guess.")


def main():
    given = flags.FLAGS
    settings, gpus = settings_from_flags(), commands.integers("gpus", 1, 2**20)
    for name in ("peak_tflops", "link_gb_per_s", "network_gb_per_s"):
        if not 0 < getattr(given, name) < float("inf"):
            raise UsageError(f"--{name} must be positive. Received: {getattr(given, name)}")
    requests = [
        {"name": f"{processes}x{replicas}", "request": make_request(processes, replicas)}
        for processes, replicas in settings
    ]
    answers = measure_in_rounds("benchmarks.measure.scaling_worker", requests, given.rounds)
    common = gather_provenance(PACKAGES)
    names = ("image_size", "channels", "batch_size", "num_classes", "jit", "cores", "steps")
    shared = {name: getattr(given, name) for name in (*names, "warmup_steps", "rounds")}
    rows = [
        {"benchmark": "scaling", "setting": asked["name"], "replicas": processes * replicas}
        | summarize_scaling(own, answers[0], processes * replicas)
        | shared
        | common
        for asked, own, (processes, replicas) in zip(requests, answers, settings, strict=True)
    ]
    if rows[0]["status"] == "ok":
        exchanges = max(row.get("exchanges", 0) for row in rows)
        predictions = predict_rows(rows[0]["utilization"], exchanges, gpus)
        rows += [row | common for row in predictions]
    print_rows(rows, given.format, COLUMNS)


def settings_from_flags():
    """Pairs of the number of processes and of replicas in each.

    Raises:
        UsageError: if there are none, or one is impossible or needs more cores than there are.
    """
    texts = flags.FLAGS.settings
    if not texts or not all(re.fullmatch(r"(1[0-6]|[1-9])x(1[0-6]|[1-9])", text) for text in texts):
        raise UsageError(
            f"--settings must be PROCESSESxREPLICAS, e.g. 1x1,2x1. Received: {','.join(texts)}"
        )
    settings = [tuple(map(int, text.split("x"))) for text in texts]
    cores = len(os.sched_getaffinity(0))
    for processes, replicas in settings:
        make_config(processes, replicas)
        if processes * replicas * flags.FLAGS.cores > cores:
            raise UsageError(
                f"--cores must give each replica its own of the {cores} cores of this machine. "
                f"Received: {flags.FLAGS.cores} for each of {processes}x{replicas}"
            )
    return settings


def make_config(processes, replicas):
    """The `Config` of a setting."""
    given = flags.FLAGS
    strategy = "multi_worker" if processes > 1 else "mirrored"
    execution = {"jit_compile": given.jit, "replicas": replicas, "strategy": strategy}
    channels = {"g_channels": given.channels, "d_channels": given.channels}
    images = {"image_size": given.image_size, "num_classes": given.num_classes}
    batch_size = given.batch_size * processes * replicas
    return Config(dataset="synthetic", batch_size=batch_size, **images, **channels, **execution)


def make_request(processes, replicas):
    """Arguments of `scaling_worker.measure_scaling`."""
    own = {"config_json": make_config(processes, replicas).to_json(), "processes": processes}
    counts = {name: getattr(flags.FLAGS, name) for name in ("steps", "warmup_steps")}
    return own | counts | {"cores": flags.FLAGS.cores * replicas}


def summarize_scaling(measurements, references, replicas):
    """Figures of a setting: medians over rounds; percentiles over all steps of all rounds.

    Both lists have one `scaling_worker.measure_scaling` per round; ratios are to `references`, of
    the first setting. `replicas` counts all processes.
    """
    if "error" in measurements[-1]:
        return {"status": "failed", "error": measurements[-1]["error"]}
    first = measurements[0]
    step_ms = [1000 * seconds for each in measurements for seconds in each["step_s"]]
    rates = [each["train_images_per_s"] for each in measurements]
    ratios = compute_ratios("train_images_per_s", measurements, references)
    return {
        "status": "ok",
        "images_per_s": median_digits(measurements, "train_images_per_s"),
        "efficiency": ratios["ratio"] and round_digits(ratios["ratio"] / replicas),
        "step_ms_p50": round_digits(float(np.percentile(step_ms, 50))),
        "step_ms_p95": round_digits(float(np.percentile(step_ms, 95))),
        "gradient_mib": round_digits(first["gradient_bytes"] / 2**20),
        "exchanged_mib": round_digits(first["exchanged_bytes"] / 2**20),
        "exchanges": first["exchanges"],
        "utilization": round_digits(statistics.median(map(utilization, measurements))),
        "images_per_s_by_round": list(map(round_digits, rates)),
        **ratios,
        "device": first["device"],
    }


def predict_rows(share, exchanges, gpus):
    """Rows of the model's predictions, for both ways to scale and these numbers of `gpus`.

    Training achieves a `share` of a matrix product's rate; a step has `exchanges` all-reduces.
    """
    from keras_sagan import networks
    from keras_sagan.networks.macs import forward_macs

    names = ("peak_tflops", "gpus_per_host", "link_gb_per_s", "network_gb_per_s", "latency_us")
    stated = {name: getattr(flags.FLAGS, name) for name in names} | {"share": share}
    machine, config = Machine(**stated), Config(num_classes=1000, fast=False)
    players = networks.generator(config), networks.discriminator(config)
    gradient_bytes = count_gradient_bytes(*players, config.d_steps)
    work = Work(training_macs(*map(forward_macs, players)), gradient_bytes, exchanges)
    common = {"gradient_mib": round_digits(gradient_bytes / 2**20), "exchanges": exchanges}
    rows = []
    for rule, images_of in RULES.items():
        alone = predict_step(machine, work, 1, images_of(1))
        for count in gpus:
            images = images_of(count)
            if not images:
                continue
            figures = predict_step(machine, work, count, images)
            setting = {"rule": rule, "gpus": count, "status": "ok", "images_per_gpu": images}
            row = {"benchmark": "scaling_expected"} | setting | figures
            rows.append(row | predict_speedup(figures, alone) | common | stated)
    return rows


def predict_speedup(figures, alone):
    """Images per second relative to one GPU: without overlap, and up to as much as fits."""
    least = figures["images_per_s"] / alone["images_per_s"]
    most = least * figures["efficiency_most"] / figures["efficiency"]
    ends = [round_digits(least), round_digits(most)]
    return {"ratio": ends[0], "ratio_least_and_most": ends}


if __name__ == "__main__":
    commands.run(main, __doc__)
