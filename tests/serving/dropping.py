"""A way to a server on which connections break."""

import contextlib
import socket
import threading


class Dropping:
    """A way to a server that drops connections; a context manager.

    Args:
        target: str, HOST:PORT of the server.
        count: int, so many connections are dropped, the first ones.
        after: int, bytes of the server's answer that come through before.
        port: int, where to listen; 0: a free one.

    Attributes:
        address: str, HOST:PORT.
        dropped: int, so far.
    """

    def __init__(self, target, count, after=0, port=0):
        host, _, target_port = target.partition(":")
        self.target = (host, int(target_port))
        self.count, self.after, self.dropped = count, after, 0
        self.listener = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # Closing alone would leave the other thread in `accept`.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            left = None
            if self.dropped < self.count:
                self.dropped, left = self.dropped + 1, self.after
            server = socket.create_connection(self.target)
            for ends in ((client, server, None), (server, client, left)):
                threading.Thread(target=forward, args=ends, daemon=True).start()


def forward(source, sink, left):
    """Copies until the end, or until `left` bytes are copied; then closes both."""
    with contextlib.suppress(OSError):  # The other direction may have closed them.
        while data := source.recv(2**16):
            sink.sendall(data if left is None else data[:left])
            if left is not None and (left := left - len(data)) <= 0:
                break
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
