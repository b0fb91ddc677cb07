"""Runs measurements in separate processes and gathers what every row states besides its figures."""

import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable

from keras_sagan.errors import RunError
from keras_sagan.runs.provenance import commit, machine, version

ROOT = pathlib.Path(__file__).parents[2]


def run_worker(module: str, request: dict, environment: dict | None = None) -> dict:
    """Runs `python -m MODULE`, which calls `answer_request`, on a JSON-serializable request.

    `environment` has variables to add to this process's own.

    Returns:
        The worker's answer; `{"error": REASON}` if it fails.
    """
    command, variables = [sys.executable, "-m", module], os.environ | (environment or {})
    settings = {"capture_output": True, "text": True, "cwd": ROOT, "env": variables}
    result = subprocess.run(command, input=json.dumps(request), check=False, **settings)
    lines = result.stdout.splitlines()
    if result.returncode == 0 and lines:
        return json.loads(lines[-1])
    errors = [line for line in result.stderr.splitlines() if line.strip()]
    return {"error": f"exit code {result.returncode}: {errors[-1] if errors else 'no output'}"}


def answer_request(measure: Callable[..., dict]) -> None:
    """The worker's side of `run_worker`: prints what `measure` returns, or why it failed."""
    request = json.load(sys.stdin)
    try:
        result = measure(**request)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        result = {"error": f"{type(error).__name__}: {reason}"}
    print(json.dumps(result))


def measure_in_rounds(module: str, requests: list[dict], rounds: int) -> list[list[dict]]:
    """Sends each request once per round to a worker, so that drift of the machine affects all.

    Requests are dicts with `name`, `request` and optionally `environment`. One that failed is not
    repeated.

    Returns:
        For each request, the list of its answers, one per round.
    """
    answers = [[] for _ in requests]
    for number in range(1, rounds + 1):
        for asked, own in zip(requests, answers, strict=True):
            if not own or "error" not in own[-1]:
                print(f"round {number}/{rounds}: {asked['name']}", file=sys.stderr, flush=True)
                own.append(run_worker(module, asked["request"], asked.get("environment")))
    return answers


def compute_ratios(name: str, measurements: list[dict], references: list[dict]) -> dict:
    """Ratio of figure `name` to the reference of the same round: median, least and most."""
    if "error" in references[-1]:
        return {"ratio": None, "ratio_least_and_most": None}
    ratios = sorted(
        own[name] / reference[name] for own, reference in zip(measurements, references, strict=True)
    )
    return {
        "ratio": round_digits(statistics.median(ratios)),
        "ratio_least_and_most": [round_digits(ratios[0]), round_digits(ratios[-1])],
    }


def max_peaks(measurements: list[dict]) -> dict[str, float | None]:
    """The highest of each figure of `peak_memory` over several measurements."""
    return {
        name: max((each[name] for each in measurements if each[name] is not None), default=None)
        for name in ("host_peak_mib", "device_peak_mib")
    }


def median_digits(measurements: list[dict], name: str) -> float:
    """The median of figure `name`, rounded."""
    return round_digits(statistics.median(each[name] for each in measurements))


def round_digits(value: float) -> float:
    """Rounds to four significant digits."""
    return float(f"{value:.4g}")


def command_line(leave_out: Iterable[str] = ()) -> str:
    """How this process was started, without the interpreter's path and arguments to `leave_out`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)  # None in a script or a notebook.
    program = ["-m", spec.name] if spec else sys.argv[:1]
    arguments = [argument for argument in sys.argv[1:] if argument not in leave_out]
    return shlex.join(["python", *program, *arguments])


def gather_provenance(packages: Iterable[str]) -> dict:
    """Command, commit, versions and machine, for a row."""
    versions = {name: version(name) for name in packages}
    return {
        "command": command_line(leave_out=["--format=json"]),
        "commit": commit(),
        "versions": {"python": platform.python_version()} | versions,
        "machine": machine(),
        "cpus": len(os.sched_getaffinity(0)),
    }


def peak_memory() -> dict[str, float | None]:
    """Peak memory of this process so far, MiB: of the host, and of the first GPU or None."""
    import tensorflow as tf

    device = None
    if tf.config.list_physical_devices("GPU"):
        device = round(tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20, 1)
    return {"host_peak_mib": round(read_status_mib("VmHWM"), 1), "device_peak_mib": device}


def reset_peak_memory() -> float:
    """Resets the peak of host memory; returns the memory in use now, MiB."""
    pathlib.Path("/proc/self/clear_refs").write_text("5", "utf-8")
    return read_status_mib("VmRSS")


def read_status_mib(name: str) -> float:
    """One line of /proc/self/status, in MiB."""
    status = pathlib.Path("/proc/self/status").read_text("utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def print_rows(rows: list[dict], output_format: str, columns: Iterable[str]) -> None:
    """Prints rows: as complete JSON objects, or as text of `columns`.

    Raises:
        RunError: if a row failed.
    """
    for row in rows:
        shown = {name: row[name] for name in columns if row.get(name) is not None}
        text = "  ".join(f"{name}: {value}" for name, value in shown.items())
        print(json.dumps(row) if output_format == "json" else text, flush=True)
    failed = sum(row["status"] == "failed" for row in rows)
    if failed:
        raise RunError(f"{failed} of {len(rows)} rows failed")
