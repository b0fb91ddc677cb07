"""Waits until all processes of a cluster are present, before TensorFlow joins them.

TensorFlow would wait without limit and ignore signals. So the chief first listens at its own
address, where TensorFlow will listen later. Once all others have called, it releases them.
"""

import contextlib
import socket
import time
from collections.abc import Sequence

from keras_sagan.errors import RunError

GO = b"go"
# Seconds between two calls, and for a caller to send its number.
PAUSE = 0.5


def wait_for_all(addresses: Sequence[str], place: int, seconds: float) -> None:
    """Returns when all processes are present.

    Args:
        addresses: `host:port` of each process, the chief's first.
        place: index of this process among them.
        seconds: longest wait.

    Raises:
        RunError: if a process is missing after that, or the chief cannot listen.
    """
    deadline = time.monotonic() + seconds
    absent = (
        receive_calls(addresses, deadline) if place == 0 else call_chief(addresses, place, deadline)
    )
    if absent:
        raise RunError(
            f"expected {len(addresses)} workers within join_seconds={seconds}. Received: no call "
            f"{'to' if place else 'from'} {', '.join(absent)}"
        )


def receive_calls(addresses: Sequence[str], deadline: float) -> list[str]:
    """The chief's part; returns the addresses of processes that have not called in time."""
    callers = {}
    with contextlib.ExitStack() as stack:
        try:
            port = int(addresses[0].rpartition(":")[2])
            server = stack.enter_context(socket.create_server(("", port), backlog=len(addresses)))
        except OSError as error:
            raise RunError(f"the chief cannot listen at {addresses[0]}: {error}") from error
        server.settimeout(PAUSE)
        while len(callers) < len(addresses) - 1 and time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                caller = stack.enter_context(server.accept()[0])
                caller.settimeout(PAUSE)
                place = int(caller.recv(16))
                if 0 < place < len(addresses):
                    callers[place] = caller  # The last call counts: the process may have restarted.
        absent = [each for i, each in enumerate(addresses) if i and i not in callers]
        for caller in [] if absent else callers.values():
            with contextlib.suppress(OSError):
                caller.sendall(GO)
    return absent


def call_chief(addresses: Sequence[str], place: int, deadline: float) -> Sequence[str]:
    """The others' part; returns the chief's address if the chief did not release them in time."""
    host, _, port = addresses[0].rpartition(":")
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(OSError), socket.create_connection((host, port), left) as chief:
            chief.sendall(b"%d" % place)
            # A program other than our chief may be listening there.
            if chief.recv(len(GO)) == GO:
                return []
        time.sleep(PAUSE)
    return addresses[:1]
