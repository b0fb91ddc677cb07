"""Predicts the speed of many GPUs from counted costs and stated assumptions.

A GPU computes for `2 * macs_per_image * images / (share * peak)` seconds per step; the share of the
peak rate is assumed to be the same at every batch size. Between the parts of a step, gradients are
summed over all GPUs in rings: each GPU sends and receives `2 (n - 1) / n` times their bytes
(Patarasuk and Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002), over the links inside a host
or, with several hosts, over the network. Each all-reduce operation also costs a fixed latency. The
truth lies between two extremes: none of the exchange overlaps with computation, or as much as fits.
"""

import dataclasses

from benchmarks.measure.subprocesses import round_digits


@dataclasses.dataclass(frozen=True)
class Machine:
    """Assumptions about the GPUs and their interconnect."""

    peak_tflops: float  # 10^12 FLOP/s of one GPU's matrix products.
    share: float  # Fraction of the peak that training achieves, in (0, 1].
    gpus_per_host: int
    link_gb_per_s: float  # 10^9 bytes per second that a GPU sends inside its host.
    network_gb_per_s: float  # 10^9 bytes per second that a GPU sends to another host.
    latency_us: float  # Fixed microseconds of each all-reduce operation.


@dataclasses.dataclass(frozen=True)
class Work:
    """Costs of one training step."""

    macs_per_image: int  # Multiply-accumulates.
    gradient_bytes: int  # Summed over the GPUs.
    exchanges: int  # All-reduce operations.


def predict_step(machine: Machine, work: Work, gpus: int, images: int) -> dict[str, float]:
    """Time and speed of one step with this number of GPUs, and of images per GPU.

    Returns:
        dict: `compute_ms`; `exchange_ms`; `images_per_s` and `efficiency` (relative to computation
        alone) without overlap; `efficiency_most` with as much overlap as fits.
    """
    compute = 2 * work.macs_per_image * images / (machine.share * machine.peak_tflops * 1e12)
    one_host = gpus <= machine.gpus_per_host
    bytes_per_s = 1e9 * (machine.link_gb_per_s if one_host else machine.network_gb_per_s)
    exchange = 0.0
    if gpus > 1:
        exchange = 2 * (gpus - 1) / gpus * work.gradient_bytes / bytes_per_s
        exchange += work.exchanges * machine.latency_us / 1e6
    figures = {
        "compute_ms": 1000 * compute,
        "exchange_ms": 1000 * exchange,
        "images_per_s": gpus * images / (compute + exchange),
        "efficiency": compute / (compute + exchange),
        "efficiency_most": compute / max(compute, exchange),
    }
    return {name: round_digits(value) for name, value in figures.items()}


def count_gradient_bytes(generator, discriminator, d_steps):
    """Bytes that a step sums over the replicas: D's gradients in each of its updates, and G's."""
    of_g, of_d = (
        4 * sum(variable.value.shape.num_elements() for variable in network.trainable_variables)
        for network in (generator, discriminator)
    )
    return of_g + d_steps * of_d
