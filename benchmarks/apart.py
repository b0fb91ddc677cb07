"""Measurements in processes of their own, and what stands beside every figure."""

import json
import os
import pathlib
import platform
import subprocess
import sys

from keras_sagan.training.run_directory import commit, version

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


def provenance(packages):
    """Commit, versions and machine, for a row."""
    return {
        "commit": commit(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
        "machine": f"{platform.system()} {platform.machine()}",
        "cpus": len(os.sched_getaffinity(0)),
    }


def device_name():
    """The first GPU's name, or CPU."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    return details.get("device_name", "GPU") if gpus else "CPU"


def peaks():
    """Most memory that this process has held so far, MiB: of the host, of the first GPU or None."""
    import tensorflow as tf

    device = None
    if tf.config.list_physical_devices("GPU"):
        device = round(tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20, 1)
    return {"host_peak_mib": round(status_mib("VmHWM"), 1), "device_peak_mib": device}


def status_mib(name):
    """A line of /proc/self/status, in MiB."""
    status = pathlib.Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def show(row, output_format, columns):
    """Prints a row: as JSON, or as text of those of `columns` that it has."""
    if output_format == "json":
        text = json.dumps(row)
    else:
        shown = {name: row[name] for name in columns if row.get(name) is not None}
        text = "  ".join(f"{name}: {value}" for name, value in shown.items())
    print(text, flush=True)
