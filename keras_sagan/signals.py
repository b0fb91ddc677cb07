"""The signals that end a process, and handlers that come back after ours."""

import contextlib
import ctypes
import signal
from collections.abc import Iterator

# A terminal that closes sends SIGHUP; Slurm can send SIGUSR1 some time before a job must end.
NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")
ENDING = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
# Bytes; no C library has a larger `struct sigaction`.
ACTION_SIZE = 1024


def ending_signals() -> list[signal.Signals]:
    """`ENDING` without the signals that this process ignores, e.g. SIGHUP under nohup."""
    return [each for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN]


@contextlib.contextmanager
def handlers_restored(*numbers: int) -> Iterator[None]:
    """Restores the handlers of signals on exit, in any thread, also those set by C code.

    `signal.getsignal` knows only those that Python set, and `signal.signal` works only in the main
    thread.
    """
    sigaction = ctypes.CDLL(None).sigaction
    actions = {number: ctypes.create_string_buffer(ACTION_SIZE) for number in numbers}
    for number, action in actions.items():
        sigaction(number, None, action)
    try:
        yield
    finally:
        for number, action in actions.items():
            sigaction(number, action, None)
