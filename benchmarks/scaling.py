"""Training speed against the number of replicas, and what to expect of many GPUs.

python -m benchmarks.scaling
python -m benchmarks.scaling --image_size=128 --batch_size=4 --rounds=5 --format=json

A setting is a number of processes on this machine and of replicas in each; by default 1x1, 1x2
(two parts of one CPU, `--strategy=mirrored`) and 2x1 (a cluster of two processes on loopback,
`--strategy=multi_worker`). Every replica has `--batch_size` images and, with `--cores=1`, a core to
itself, so that a second replica brings its own processor as a second GPU would. In each round every
setting has one turn; ratios are to the first setting in the same round, of images per second.
Efficiency is that ratio over the number of replicas.

Then come rows of `--gpus`: what the model of `benchmarks/scaling_model.py` expects of the default
networks (128 pixels, 64 channels) with 1,000 classes, from their counted costs and bytes, the share
of a matrix product's rate that the first setting achieved here, and the GPUs that the flags state.
They are arithmetic, not measurements. A setting that fails is a row that says why, and then the
exit code is 1.
"""

import os
import re
import statistics

import numpy as np
from absl import flags

from benchmarks import apart
from benchmarks.scaling_model import Machine, expected, gradient_bytes
from benchmarks.speed_row import training_macs, utilization
from keras_sagan import commands
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.runs.provenance import PACKAGES

COLUMNS = (
    *("setting", "status", "error", "rule", "gpus", "images_per_gpu", "images_per_s", "ratio"),
    *("ratio_least_and_most", "efficiency", "efficiency_most", "step_ms_p50", "step_ms_p95"),
    *("gradient_mib", "exchanged_mib", "exchanges", "compute_ms", "exchange_ms", "device"),
)
# Images of each GPU by their number, for both ways to grow.
RULES = {"32 images a GPU": lambda gpus: 32, "256 images in all": lambda gpus: 256 // gpus}

flags.DEFINE_list("settings", ["1x1", "1x2", "2x1"], "PROCESSESxREPLICAS of each; at most 16 each.")
flags.DEFINE_integer("image_size", 32, "Height of images, in pixels.")
flags.DEFINE_integer("channels", 16, "Channels of G's last and D's first feature maps.")
flags.DEFINE_integer("batch_size", 8, "Images a step of each replica.", lower_bound=1)
flags.DEFINE_integer("num_classes", 10, "Classes; 0: unconditional.", lower_bound=0)
flags.DEFINE_enum("jit", "off", ["auto", "off", "on"], "Whether XLA compiles the steps.")
flags.DEFINE_integer("cores", 1, "Of the CPU, for each replica; 0: no bound.", lower_bound=0)
flags.DEFINE_integer("steps", 20, "Timed training steps a turn.", lower_bound=1)
flags.DEFINE_integer("warmup_steps", 5, "Steps before them, after the first.", lower_bound=0)
flags.DEFINE_integer("rounds", 3, "Turns of each setting; figures are medians.", lower_bound=1)
flags.DEFINE_enum("format", "text", ["text", "json"], "json: one object a row.")
flags.DEFINE_list("gpus", ["1", "2", "4", "8", "16", "32", "64"], "To expect the speed of.")
flags.DEFINE_float("peak_tflops", 989.0, "Of a GPU: 10^12 FLOP/s (H100 SXM data sheet, bfloat16).")
flags.DEFINE_integer("gpus_per_host", 8, "GPUs of a host.", lower_bound=1)
flags.DEFINE_float("link_gb_per_s", 450.0, "10^9 bytes/s of a GPU in its host (NVLink, one way).")
flags.DEFINE_float("network_gb_per_s", 50.0, "10^9 bytes/s of a GPU to other hosts (400 Gbit/s).")
flags.DEFINE_float("latency_us", 20.0, "Fixed microseconds of each all-reduce: a guess.")


def main():
    settings, gpus = settings_from_flags(), commands.integers("gpus", 1, 2**20)
    for name in ("peak_tflops", "link_gb_per_s", "network_gb_per_s"):
        if not 0 < getattr(flags.FLAGS, name) < float("inf"):
            raise UsageError(f"--{name} must be positive. Received: {getattr(flags.FLAGS, name)}")
    requests = [
        {"name": f"{processes}x{replicas}", "request": request(processes, replicas)}
        for processes, replicas in settings
    ]
    turns = apart.interleaved("benchmarks.scaling_turn", requests, flags.FLAGS.rounds)
    common = apart.provenance(PACKAGES)
    names = ("image_size", "channels", "batch_size", "num_classes", "jit", "cores", "steps")
    shared = {name: getattr(flags.FLAGS, name) for name in (*names, "warmup_steps", "rounds")}
    rows = [
        {"benchmark": "scaling", "setting": asked["name"], "replicas": processes * replicas}
        | summary(own, turns[0], processes * replicas)
        | shared
        | common
        for asked, own, (processes, replicas) in zip(requests, turns, settings, strict=True)
    ]
    if rows[0]["status"] == "ok":
        exchanges = max(row.get("exchanges", 0) for row in rows)
        rows += [row | common for row in expected_rows(rows[0]["utilization"], exchanges, gpus)]
    apart.report(rows, flags.FLAGS.format, COLUMNS)


def settings_from_flags():
    """Pairs of the numbers of processes and of replicas in each.

    Raises:
        UsageError: if one is none, impossible, or needs more cores than there are.
    """
    texts = flags.FLAGS.settings
    if not texts or not all(re.fullmatch(r"(1[0-6]|[1-9])x(1[0-6]|[1-9])", text) for text in texts):
        raise UsageError(
            f"--settings must be PROCESSESxREPLICAS, as 1x1,2x1. Received: {','.join(texts)}"
        )
    settings = [tuple(map(int, text.split("x"))) for text in texts]
    cores = len(os.sched_getaffinity(0))
    for processes, replicas in settings:
        config_of(processes, replicas)
        if processes * replicas * flags.FLAGS.cores > cores:
            raise UsageError(
                f"--cores must leave each replica its own of the {cores} here. "
                f"Received: {flags.FLAGS.cores} for each of {processes}x{replicas}"
            )
    return settings


def config_of(processes, replicas):
    given = flags.FLAGS
    return Config(
        dataset="synthetic",
        image_size=given.image_size,
        g_channels=given.channels,
        d_channels=given.channels,
        num_classes=given.num_classes,
        batch_size=given.batch_size * processes * replicas,
        jit_compile=given.jit,
        replicas=replicas,
        strategy="multi_worker" if processes > 1 else "mirrored",
    )


def request(processes, replicas):
    """What `scaling_turn.measure` takes."""
    return {
        "config": config_of(processes, replicas).to_json(),
        "processes": processes,
        "cores": flags.FLAGS.cores * replicas,
        "steps": flags.FLAGS.steps,
        "warmup_steps": flags.FLAGS.warmup_steps,
    }


def summary(turns, first_turns, replicas):
    """Figures of a setting from its turns; medians, but for percentiles over all its steps.

    Args:
        turns: list of dicts, what `scaling_turn.measure` gave in each round.
        first_turns: the same of the setting that ratios are to.
        replicas: int, of all its processes.
    """
    if "error" in turns[-1]:
        return {"status": "failed", "error": turns[-1]["error"]}
    step_ms = [1000 * seconds for turn in turns for seconds in turn["step_s"]]
    rates = [turn["train_images_per_s"] for turn in turns]
    ratios = apart.ratios("train_images_per_s", turns, first_turns)
    efficiency = ratios["ratio"] and apart.rounded(ratios["ratio"] / replicas)
    return {
        "status": "ok",
        "images_per_s": apart.rounded(statistics.median(rates)),
        "efficiency": efficiency,
        "step_ms_p50": apart.rounded(float(np.percentile(step_ms, 50))),
        "step_ms_p95": apart.rounded(float(np.percentile(step_ms, 95))),
        "gradient_mib": apart.rounded(turns[0]["gradient_bytes"] / 2**20),
        "exchanged_mib": apart.rounded(turns[0]["exchanged_bytes"] / 2**20),
        "exchanges": turns[0]["exchanges"],
        "utilization": apart.rounded(statistics.median(map(utilization, turns))),
        "images_per_s_by_round": [apart.rounded(rate) for rate in rates],
        **ratios,
        "device": turns[0]["device"],
    }


def expected_rows(share, exchanges, gpus):
    """Rows of what the model expects, for both ways to grow.

    Args:
        share: float, part of a matrix product's rate that training achieves.
        exchanges: int, all-reduce operations of a step.
        gpus: list of int.
    """
    from keras_sagan import networks
    from keras_sagan.networks.macs import forward_macs

    names = ("peak_tflops", "gpus_per_host", "link_gb_per_s", "network_gb_per_s", "latency_us")
    stated = {name: getattr(flags.FLAGS, name) for name in names} | {"share": share}
    config = Config(num_classes=1000, fast=False)
    players = networks.generator(config), networks.discriminator(config)
    work = {
        "macs_per_image": training_macs(*map(forward_macs, players)),
        "gradient_bytes": gradient_bytes(*players, config.d_steps),
        "exchanges": exchanges,
    }
    rows = []
    for rule, images_of in RULES.items():
        (alone, _), *others = [
            (expected(Machine(**stated), **work, gpus=count, images=images_of(count)), count)
            for count in (1, *gpus)
            if images_of(count)
        ]
        rows += [
            {"benchmark": "scaling_expected", "rule": rule, "gpus": count, "status": "ok"}
            | {"images_per_gpu": images_of(count), **figures, **speedup(figures, alone)}
            | {"gradient_mib": apart.rounded(work["gradient_bytes"] / 2**20)}
            | {"exchanges": exchanges, **stated}
            for figures, count in others
        ]
    return rows


def speedup(figures, alone):
    """Images per second over those of one GPU: with nothing hidden, and from that to the most."""
    least = figures["images_per_s"] / alone["images_per_s"]
    most = least * figures["efficiency_most"] / figures["efficiency"]
    ends = [apart.rounded(least), apart.rounded(most)]
    return {"ratio": ends[0], "ratio_least_and_most": ends}


if __name__ == "__main__":
    commands.run(main, __doc__)
