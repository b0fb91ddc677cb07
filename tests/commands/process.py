"""The commands as a user starts them: in processes of their own."""

import contextlib
import ctypes
import json
import os
import pathlib
import socket
import subprocess
import time

import forks
import smallest

TINY = (
    *smallest.as_flags(smallest.RUN),
    "--log_every=5",
    "--sample_every=10",
    "--checkpoint_every=10",
)
SIMPLE = smallest.as_flags(smallest.DCGAN)
FIRST = pathlib.Path(__file__).with_name("first.py")
# What a process executes first so that the classifier that it trains is trained in seconds.
FEW_STEPS = "from keras_sagan.extractors import trained; trained.STEPS = 20"
# Of Linux' `prctl`: drops a capability; those to write and to read any file and folder.
DROP, OVERRIDE, SEARCH = 24, 1, 2


def without_privileges():
    """For a new process: permissions of files hold for root, too."""
    for capability in (OVERRIDE, SEARCH):
        ctypes.CDLL(None).prctl(DROP, capability)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def environment(ports=None, index=0):
    """Variables without GPUs; with `ports`, of worker `index` of those who listen there."""
    variables = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    if ports:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        task = {"type": "worker", "index": index}
        variables["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    return variables


def start(command, *flags, cwd=None, env=None, python=None, first=None):
    """`python -m keras_sagan.COMMAND FLAGS` as a running process, warnings off as for users.

    `first` is Python code that it executes before.
    """
    module = [FIRST, first, command] if first else ["-m", f"keras_sagan.{command}"]
    return subprocess.Popen(
        [python or forks.executable(), *module, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=env or environment(),
    )


def run(command, *flags, **options):
    """The same to its end: exit code, standard output, standard error."""
    process = start(command, *flags, **options)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def assert_one_line(result, code, *parts):
    """A user's mistake: the exit code, nothing on standard output, one line with `parts`."""
    returncode, out, err = result
    lines = [line for line in err.splitlines() if not is_notice(line)]
    assert returncode == code, err
    assert out == ""
    assert len(lines) == 1, lines
    assert "Traceback" not in err
    for part in parts:
        assert part in lines[0], lines[0]


def is_notice(line):
    """TensorFlow's own start-up lines, which it writes before it can be told not to."""
    return (line[:1] in "IWE" and line[1:5].isdigit()) or line.startswith(
        "WARNING: All log messages"
    )


def flags(run_dir, data_dir, *more):
    return [f"--run_dir={run_dir}", f"--data_dir={data_dir}", *TINY, *more]


def train(run_dir, data_dir, *more):
    code, out, err = run("train", *flags(run_dir, data_dir, *more))
    assert code == 0, err
    return out, err


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses_of(run_dir):
    lines = rows(run_dir / "train.jsonl")
    return [(row["step"], row["d_loss"], row["g_loss"]) for row in lines]


def wait_for(path, process):
    deadline = time.monotonic() + 600
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
