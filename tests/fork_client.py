"""The other end of `forks.py`: `fork_client.py SOCKET OPTIONS ARGUMENTS` in place of Python.

It gives its streams, folder and variables to a fork of the server, passes signals on to it, and
ends as it ends.
"""

import json
import os
import signal
import socket
import sys
import time

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main(path, options, arguments):
    is_forked = arguments[:1] == ["-m"] or (arguments and not arguments[0].startswith("-"))
    if is_forked and (connection := ask(path, arguments)):
        end(connection)
    os.execv(sys.executable, [sys.executable, *options, *arguments])


def ask(path, arguments):
    """The connection to a fork that runs; None if Python itself is to do it."""
    connection = socket.socket(socket.AF_UNIX)
    while not os.path.exists(path):
        time.sleep(0.01)  # The server starts. It does not end before those who ask it.
    connection.connect(path)
    request = {"arguments": arguments, "folder": os.getcwd(), "variables": dict(os.environ)}
    # As bytes: the fork may decode them otherwise.
    message = os.fsencode(json.dumps(request, ensure_ascii=False)) + b"\n"
    sent = socket.send_fds(connection, [message], [0, 1, 2])
    connection.sendall(message[sent:])
    for number in SIGNALS:
        signal.signal(number, lambda number, _: connection.send(bytes([number])))
    return connection if connection.recv(1) == b"y" else None


def end(connection):
    """Ends this process as the fork has ended."""
    text = b""
    while not text.endswith(b"\n"):
        received = connection.recv(16)
        if not received:
            os._exit(1)
        text += received
    code = int(text)
    if code < 0:
        if -code in SIGNALS:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(), sys.argv[3:])
