"""Starts the process that examines TensorFlow, and explains how it ended."""

import json
import os
import re
import signal
import subprocess
import sys

from keras_sagan.diagnosis import tensorflow_process
from keras_sagan.diagnosis.section import Section, one_line

# Seconds that importing TensorFlow and compiling with XLA may take, also on a slow disk.
LIMIT = 300
# The lines in which TensorFlow says why it aborts.
FATAL = re.compile(r"F\d{4} .*", re.MULTILINE)


def examine_tensorflow() -> Section:
    """The devices, XLA and the cluster; a crash or a hang of TensorFlow is a problem."""
    command = [sys.executable, "-P", "-m", tensorflow_process.__name__]
    variables = {
        "PYTHONPATH": os.pathsep.join(map(str, sys.path)),
        # With another backend, importing TensorFlow may fail, too.
        "KERAS_BACKEND": "tensorflow",
        # Another process may be training on the GPU.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | variables,
            timeout=LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return failed(one_line(str(error)))
    if result.returncode:
        return failed(explain_end(result.returncode, result.stderr))
    return Section(*json.loads(result.stdout.splitlines()[-1]))


def failed(reason: str) -> Section:
    """The section where TensorFlow did not come to an end."""
    problem = (
        f"TensorFlow: {reason}: training, sampling and scores fail; check the environment "
        "variables above, then install TensorFlow again"
    )
    return Section(tensorflow_process.TITLE, {"import": "failed"}, [problem])


def explain_end(code: int, log: str) -> str:
    """How the process ended, and the line of its log that says why."""
    ended = f"exit code {code}" if code > 0 else f"crash with {signal.Signals(-code).name}"
    fatal, lines = FATAL.search(log), log.split("\n")
    why = fatal[0] if fatal else next((line for line in reversed(lines) if line.strip()), "no log")
    return f"{ended} ({one_line(why)})"
