"""The figures of a row of `benchmarks.speed`, computed from its measurements."""

import statistics

import numpy as np

from benchmarks.measure.subprocesses import compute_ratios, max_peaks, median_digits, round_digits


def summarize_speed(measurements: list[dict], references: list[dict], steps_per_call: int) -> dict:
    """Figures of a setting: medians over rounds; percentiles over all calls of all rounds.

    Both lists have one `speed_worker.measure_speed` per round; ratios are to `references`, of the
    first setting.
    """
    if "error" in measurements[-1]:
        return {"status": "failed", "error": measurements[-1]["error"]}
    first = measurements[0]
    figures = ("train_images_per_s", "sample_images_per_s", "compile_s", "matmul_flops_per_s")
    step_ms = [1000 * call_s / steps_per_call for each in measurements for call_s in each["call_s"]]
    rates = [each["train_images_per_s"] for each in measurements]
    parts, breakdown = [each["breakdown"] for each in measurements if "breakdown" in each], {}
    if parts:
        breakdown["breakdown"] = {name: median_digits(parts, name) for name in parts[0]}
    return {
        "status": "ok",
        "timed_steps": len(step_ms) * steps_per_call,
        **{name: median_digits(measurements, name) for name in figures},
        "step_ms_p50": round_digits(float(np.percentile(step_ms, 50))),
        "step_ms_p95": round_digits(float(np.percentile(step_ms, 95))),
        **max_peaks(measurements),
        **{name: first[name] for name in ("g_macs", "d_macs")},
        "utilization": round_digits(statistics.median(map(utilization, measurements))),
        "train_images_per_s_by_round": list(map(round_digits, rates)),
        **compute_ratios("train_images_per_s", measurements, references),
        "device": first["device"],
        **breakdown,
    }


def training_macs(g_macs: int, d_macs: int) -> int:
    """Multiply-accumulates per image of one training step, given a forward pass.

    The discriminator update runs G forward, and D forward and backward on real images and on
    fakes. The generator update runs both forward and backward, without the gradients of D's
    weights. A backward pass costs one forward pass for the gradients of the weights and one for
    the gradients of the inputs.
    """
    d_update, g_update = g_macs + 2 * 3 * d_macs, 3 * g_macs + 2 * d_macs
    return d_update + g_update


def utilization(measurement: dict) -> float:
    """FLOP/s of training as a fraction of a matrix product's."""
    flops = 2 * training_macs(measurement["g_macs"], measurement["d_macs"])
    return flops * measurement["train_images_per_s"] / measurement["matmul_flops_per_s"]
