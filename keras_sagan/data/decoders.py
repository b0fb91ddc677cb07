"""Processes that decode images. The death of one, e.g. for memory, does not end this one.

They do not use `multiprocessing`: its processes import the program's main module again, which fails
if that came from standard input, and never ends if it prepares data itself.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_sagan.data import decode_process
from keras_sagan.data.decode_process import READY, Decoded, pack_payload
from keras_sagan.data.source import Payload
from keras_sagan.errors import RunError
from keras_sagan.preprocessing import Preprocessing

# Seconds in which a process must be ready, also on a slow disk.
STARTING = 300
EXPECTED = "expected sys.executable to be a Python with keras_sagan, to decode images"


class Decoders:
    """One process per core, each with a thread here. All end with this process.

    Args:
        preprocessing: how images become pixels.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        self.threads = ThreadPoolExecutor(count_cores())
        self.own = threading.local()  # The process of each thread.
        self.processes, self.lock, self.is_closed = [], threading.Lock(), False

    def submit(self, name: str, payload: Payload) -> Future[Decoded | str]:
        """Starts decoding; the result is the decoded image, or the reason why it is not decoded.

        The result raises a `RunError` with `name` if the process cannot start or ends.
        """
        return self.threads.submit(self.decode, name, payload)

    def decode(self, name: str, payload: Payload) -> Decoded | str:
        if not hasattr(self.own, "process"):
            self.own.process = self.start()
        process = self.own.process
        request, data = pack_payload(payload)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request).encode() + b"\n" + data)
            process.stdin.flush()
        line = process.stdout.readline()
        answer = json.loads(line) if line.endswith(b"\n") else {}
        if "reason" in answer:
            return answer["reason"]
        size, channels = self.preprocessing.size, self.preprocessing.channels
        pixels = process.stdout.read(size * size * channels)
        if len(pixels) < size * size * channels:
            ended = explain_end(process.wait())
            raise RunError(f"a process that decodes images {ended}, while decoding {name}")
        image = np.frombuffer(pixels, np.uint8).reshape(size, size, channels)
        return Decoded(image, answer["notes"], answer["sha256"])

    def start(self) -> Any:
        """A `subprocess.Popen` that is ready for requests.

        Raises:
            RunError: if `sys.executable` cannot start it.
        """
        with self.lock:
            if self.is_closed:
                raise RunError("no more images are decoded")
            process: Any = launch(self.preprocessing)  # Its streams are not None.
            self.processes.append(process)
        timer = threading.Timer(STARTING, process.kill)
        timer.start()
        try:
            ready = process.stdout.read(len(READY))
            if ready == READY:
                return process
            if ready:
                process.kill()
            ended = explain_end(process.wait())
        finally:
            timer.cancel()
        raise RunError(f"{EXPECTED}. Received: sys.executable={sys.executable}, which {ended}")

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, *error) -> None:
        with self.lock:
            self.is_closed = True
        for process in self.processes:
            process.kill()
        self.threads.shutdown(cancel_futures=True)
        for process in self.processes:
            process.communicate()


def launch(preprocessing: Preprocessing) -> subprocess.Popen:
    """Starts a process with this one's import path, and without its main module.

    Raises:
        RunError: if `sys.executable` is no program, as in some embedded Pythons, or not Python.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        frozen = ", a frozen program" if sys.executable else ""
        raise RunError(f"{EXPECTED}. Received: sys.executable={sys.executable}{frozen}")
    how = json.dumps(dataclasses.asdict(preprocessing))
    command = [sys.executable, "-P", "-m", decode_process.__name__, how]
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))},
            start_new_session=True,  # A terminal sends Ctrl-C to all; only this process may act.
        )
    except OSError as error:
        raise RunError(
            f"{EXPECTED}. Received: sys.executable={sys.executable} ({error})"
        ) from error


def explain_end(code: int) -> str:
    """How a process ended, from its exit code."""
    if code >= 0:
        return f"ended with exit code {code}"
    memory = ", perhaps for memory" if -code == signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{memory}"


def count_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0))
