"""The figures of a row of `benchmarks.speed`, from what its turns measured."""

import statistics

import numpy as np

from benchmarks import apart


def summary(turns, first_turns, steps_per_call):
    """Figures of a setting from its turns; medians, but for percentiles over all its calls.

    Args:
        turns: list of dicts, what `speed_turn.measure` gave in each round.
        first_turns: the same of the setting that ratios are to.
        steps_per_call: int, training steps in a call.
    """
    if "error" in turns[-1]:
        return {"status": "failed", "error": turns[-1]["error"]}
    figures = ("train_images_per_s", "sample_images_per_s", "compile_s", "matmul_flops_per_s")
    step_ms = [1000 * call_s / steps_per_call for turn in turns for call_s in turn["call_s"]]
    return {
        "status": "ok",
        "timed_steps": len(step_ms) * steps_per_call,
        **{
            name: apart.rounded(statistics.median(turn[name] for turn in turns)) for name in figures
        },
        "step_ms_p50": apart.rounded(float(np.percentile(step_ms, 50))),
        "step_ms_p95": apart.rounded(float(np.percentile(step_ms, 95))),
        **apart.highest_peaks(turns),
        "g_macs": turns[0]["g_macs"],
        "d_macs": turns[0]["d_macs"],
        "utilization": apart.rounded(statistics.median(utilization(turn) for turn in turns)),
        "train_images_per_s_by_round": [
            apart.rounded(turn["train_images_per_s"]) for turn in turns
        ],
        **apart.ratios("train_images_per_s", turns, first_turns),
        "device": turns[0]["device"],
        **breakdown(turns),
    }


def breakdown(turns):
    """Medians over turns of the milliseconds of each part, where they were measured."""
    if "breakdown" not in turns[0]:
        return {}
    each = [turn["breakdown"] for turn in turns]
    medians = {name: statistics.median(own[name] for own in each) for name in each[0]}
    return {"breakdown": {name: apart.rounded(value) for name, value in medians.items()}}


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
