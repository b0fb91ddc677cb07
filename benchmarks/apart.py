"""Measurements in processes of their own, and what stands beside every figure."""

import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys

from keras_sagan.errors import RunError
from keras_sagan.runs.provenance import commit, machine, version

FOLDER = pathlib.Path(__file__).parents[1]


def call(module, request, environment=None):
    """What `python -m MODULE` answers to `request`, a dict; `{"error": REASON}` if it fails.

    Args:
        module: str, one that calls `answer`.
        request: dict, of what JSON can hold.
        environment: dict, variables besides those of this process.
    """
    result = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        cwd=FOLDER,
        env=os.environ | (environment or {}),
        check=False,
    )
    lines = result.stdout.splitlines()
    if result.returncode == 0 and lines:
        return json.loads(lines[-1])
    said = [line for line in result.stderr.splitlines() if line.strip()]
    return {"error": f"exit code {result.returncode}: {said[-1] if said else 'no output'}"}


def answer(measure):
    """The other end of `call`: prints what `measure` makes of the request, or why it failed."""
    request = json.load(sys.stdin)
    try:
        result = measure(**request)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        result = {"error": f"{type(error).__name__}: {reason}"}
    print(json.dumps(result))


def interleaved(module, requests, rounds):
    """Answers of `module` to each of `requests`, asked in turn in every round.

    Args:
        module: str, as of `call`.
        requests: list of dicts: what to ask, under `request`; `name`; perhaps `environment`.
        rounds: int. One that has failed is not asked again.

    Returns:
        A list of answers for each request, one a round.
    """
    turns = [[] for _ in requests]
    for number in range(1, rounds + 1):
        for asked, own in zip(requests, turns, strict=True):
            if not own or "error" not in own[-1]:
                print(f"round {number}/{rounds}: {asked['name']}", file=sys.stderr, flush=True)
                own.append(call(module, asked["request"], asked.get("environment")))
    return turns


def ratios(name, turns, first_turns):
    """Figure `name` over that of the first in the same round: median, least and most."""
    if "error" in first_turns[-1]:
        return {"ratio": None, "ratio_least_and_most": None}
    each = sorted(own[name] / first[name] for own, first in zip(turns, first_turns, strict=True))
    return {
        "ratio": rounded(statistics.median(each)),
        "ratio_least_and_most": [rounded(each[0]), rounded(each[-1])],
    }


def highest_peaks(turns):
    """`peaks` over several turns."""
    return {
        name: max((turn[name] for turn in turns if turn[name] is not None), default=None)
        for name in ("host_peak_mib", "device_peak_mib")
    }


def rounded(value):
    """Four significant digits."""
    return float(f"{value:.4g}")


def command_line(leave_out=()):
    """How this process was started, without the path of the interpreter.

    Args:
        leave_out: arguments that change nothing of the figures.
    """
    module = sys.modules["__main__"].__spec__.name
    return shlex.join(
        ["python", "-m", module, *(arg for arg in sys.argv[1:] if arg not in leave_out)]
    )


def provenance(packages):
    """Command, commit, versions and machine, for a row."""
    return {
        "command": command_line(leave_out=["--format=json"]),
        "commit": commit(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
        "machine": machine(),
        "cpus": len(os.sched_getaffinity(0)),
    }


def peaks():
    """Most memory that this process has held so far, MiB: of the host, of the first GPU or None."""
    import tensorflow as tf

    device = None
    if tf.config.list_physical_devices("GPU"):
        device = round(tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20, 1)
    return {"host_peak_mib": round(status_mib("VmHWM"), 1), "device_peak_mib": device}


def reset_peak():
    """Lets the peak of the host's memory begin again; returns what is held now, MiB."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return status_mib("VmRSS")


def status_mib(name):
    """A line of /proc/self/status, in MiB."""
    status = pathlib.Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def report(rows, output_format, columns):
    """Prints rows, as JSON with all they have, or as text of `columns`.

    Raises:
        RunError: if a row says that it failed.
    """
    for row in rows:
        shown = {name: row[name] for name in columns if row.get(name) is not None}
        text = "  ".join(f"{name}: {value}" for name, value in shown.items())
        print(json.dumps(row) if output_format == "json" else text, flush=True)
    failed = sum(row["status"] == "failed" for row in rows)
    if failed:
        raise RunError(f"{failed} of {len(rows)} rows failed")
