"""Where the processes of a cluster meet before TensorFlow, which would wait for them without end.

And deaf to signals. So the chief first listens at its own address, where TensorFlow will, until all
others have called; then it lets all go at once.
"""

import contextlib
import socket
import time

from keras_sagan.errors import RunError

GO = b"go"
# Seconds between two calls, and for what a caller says.
PAUSE = 0.5


def meet(addresses, place, seconds):
    """Returns when all processes are here.

    Args:
        addresses: `host:port` of each, the chief's first.
        place: int, of this process among them.
        seconds: the most that it waits.

    Raises:
        RunError: if that was not enough, or the chief cannot listen.
    """
    deadline = time.monotonic() + seconds
    absent = receive(addresses, deadline) if place == 0 else call(addresses, place, deadline)
    if absent:
        raise RunError(
            f"expected {len(addresses)} workers within join_seconds={seconds}. Received: no call "
            f"{'to' if place else 'from'} {', '.join(absent)}"
        )


def receive(addresses, deadline):
    """The chief's part; returns the addresses of those that have not called in time."""
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
                    callers[place] = caller  # The last call counts: it may have started again.
        absent = [each for i, each in enumerate(addresses) if i and i not in callers]
        for caller in [] if absent else callers.values():
            with contextlib.suppress(OSError):
                caller.sendall(GO)
    return absent


def call(addresses, place, deadline):
    """The part of the others; returns the chief's address if it has not let them go in time."""
    host, _, port = addresses[0].rpartition(":")
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(OSError), socket.create_connection((host, port), left) as chief:
            chief.sendall(b"%d" % place)
            # Something else than our chief may listen there.
            if chief.recv(len(GO)) == GO:
                return []
        time.sleep(PAUSE)
    return addresses[:1]
