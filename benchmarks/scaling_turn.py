"""One turn of `benchmarks.scaling`: one number of processes and replicas."""

import concurrent.futures
import json
import os
import socket

from benchmarks import apart


def measure(config, processes, cores, steps, warmup_steps):
    """Seconds of the steps of one training, and what its replicas exchange.

    Args:
        config: `Config` as JSON text, with `dataset` "synthetic". Its `replicas` are those of one
            process, its `batch_size` is that of all.
        processes: int; several are the workers of one cluster on this machine.
        cores: int, those of the processor that each process may use; 0: all.
        steps: int, timed training steps.
        warmup_steps: int, those before them.

    Returns:
        What `scaling_process.measure` gives for the first process.

    Raises:
        RuntimeError: if a process failed; with what the first such process said.
    """
    request = {"config": config, "steps": steps, "warmup_steps": warmup_steps}
    allowed = sorted(os.sched_getaffinity(0))
    addresses = free_addresses(processes)

    def start(index):
        own = allowed[index * cores : (index + 1) * cores] if cores else allowed
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {"TF_CONFIG": json.dumps(cluster)} if processes > 1 else {}
        return apart.call("benchmarks.scaling_process", request | {"cores": own}, environment)

    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        answers = list(pool.map(start, range(processes)))
    for answer in answers:
        if "error" in answer:
            raise RuntimeError(answer["error"])
    return answers[0]


def free_addresses(count):
    """Addresses of this machine's loopback at which nothing listens now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


if __name__ == "__main__":
    apart.answer(measure)
