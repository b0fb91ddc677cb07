"""One measurement of `benchmarks.scaling`: a number of processes and of replicas."""

import concurrent.futures
import json
import os
import socket

from benchmarks.measure.subprocesses import answer_request, run_worker


def measure_scaling(config_json, processes, cores, steps, warmup_steps):
    """Times the steps of one training and counts what its replicas exchange.

    Several processes form one cluster on this machine. In `config_json`, a `Config` with `dataset`
    "synthetic", `replicas` counts one process and `batch_size` is the total. Each process may
    use a number of `cores`; 0: all. `warmup_steps` precede the timed `steps`.

    Returns:
        What `scaling_process.measure_process` returns in the first process.

    Raises:
        RuntimeError: if a process failed; with the first error.
    """
    request = {"config_json": config_json, "steps": steps, "warmup_steps": warmup_steps}
    allowed = sorted(os.sched_getaffinity(0))
    addresses = find_free_addresses(processes)

    def start_process(index):
        own = allowed[index * cores : (index + 1) * cores] if cores else allowed
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {"TF_CONFIG": json.dumps(cluster)} if processes > 1 else {}
        module = "benchmarks.measure.scaling_process"
        return run_worker(module, request | {"cores": own}, environment)

    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        answers = list(pool.map(start_process, range(processes)))
    for answer in answers:
        if "error" in answer:
            raise RuntimeError(answer["error"])
    return answers[0]


def find_free_addresses(count):
    """Loopback addresses at which nothing listens now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


if __name__ == "__main__":
    answer_request(measure_scaling)
