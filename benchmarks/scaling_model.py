"""What to expect of many GPUs: arithmetic on counted costs and stated assumptions.

A step of one GPU computes for `2 * macs_per_image * images / (share * peak)` seconds, with the
share of the peak rate the same at every batch size. Between its parts, gradients are added up over
all GPUs in rings: each GPU sends and receives `2 (n - 1) / n` times their bytes (Patarasuk and Yuan
2009, https://doi.org/10.1016/j.jpdc.2008.09.002) over the links inside a host, or over the network
once there are several hosts, and each all-reduce operation costs a fixed time besides. Reality lies
between two ends: nothing of the exchange is hidden behind computing, or as much as fits.
"""

import dataclasses

from benchmarks import apart


@dataclasses.dataclass(frozen=True)
class Machine:
    """What is assumed of the GPUs and what joins them.

    Attributes:
        peak_tflops: float, 10^12 FLOP/s of one GPU's matrix products.
        share: float, part of it that training achieves, in (0, 1].
        gpus_per_host: int.
        link_gb_per_s: float, 10^9 bytes per second that a GPU sends inside its host.
        network_gb_per_s: float, that it sends to another host.
        latency_us: float, fixed microseconds of each all-reduce operation.
    """

    peak_tflops: float
    share: float
    gpus_per_host: int
    link_gb_per_s: float
    network_gb_per_s: float
    latency_us: float


def expected(machine, macs_per_image, gradient_bytes, exchanges, gpus, images):
    """Seconds and speed of one step.

    Args:
        machine: `Machine`.
        macs_per_image: multiply-accumulates of an image in a training step.
        gradient_bytes: int, what a step adds up over the GPUs.
        exchanges: int, all-reduce operations of a step.
        gpus: int.
        images: int, of each GPU in a step.

    Returns:
        dict: `compute_ms`; `exchange_ms`; `images_per_s`, `efficiency` (of computing alone) with
        nothing of the exchange hidden; `efficiency_most` with as much hidden as fits.
    """
    compute = 2 * macs_per_image * images / (machine.share * machine.peak_tflops * 1e12)
    one_host = gpus <= machine.gpus_per_host
    bytes_per_s = 1e9 * (machine.link_gb_per_s if one_host else machine.network_gb_per_s)
    exchange = 0.0
    if gpus > 1:
        exchange = 2 * (gpus - 1) / gpus * gradient_bytes / bytes_per_s
        exchange += exchanges * machine.latency_us / 1e6
    figures = {
        "compute_ms": 1000 * compute,
        "exchange_ms": 1000 * exchange,
        "images_per_s": gpus * images / (compute + exchange),
        "efficiency": compute / (compute + exchange),
        "efficiency_most": compute / max(compute, exchange),
    }
    return {name: apart.rounded(value) for name, value in figures.items()}


def gradient_bytes(generator, discriminator, d_steps):
    """What a step adds up over the replicas: gradients of D in each of its turns, and of G."""
    of_g, of_d = (
        4 * sum(variable.value.shape.num_elements() for variable in network.trainable_variables)
        for network in (generator, discriminator)
    )
    return of_g + d_steps * of_d
