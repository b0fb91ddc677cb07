"""SIGTERM and SIGINT during training: the run stops with a checkpoint, from which it can resume."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Preemption:
    """Remembers the first signal; the second one ends the process immediately.

    A thread handles both: Python's own handlers wait until a call of the runtime returns.

    `say`, a function of a line, tells the user; `any_process` is `Cluster.any_process`, if this
    process may have others beside it.
    """

    def __init__(
        self, say: Callable[[str], None], any_process: Callable[[Sequence[bool]], list[bool]] = list
    ) -> None:
        self.say, self.any_process = say, any_process
        self.name, self.handlers = None, {}

    def received_signal(self) -> str | None:
        """The name of the signal that asks the run to stop, whichever process got it, or None.

        It listens from its first call on, so call it once training has begun: before, there is
        nothing to save, and a signal ends the process as usual.
        """
        if not self.handlers:
            reader, self.writer = socket.socketpair()
            self.writer.setblocking(False)
            threading.Thread(target=self.listen, args=(reader,), daemon=True).start()
            signal.set_wakeup_fd(self.writer.fileno())
            # Python itself writes the signal's number to the socket.
            self.handlers = {each: signal.signal(each, lambda *_: None) for each in SIGNALS}
        received = self.any_process([self.name == each.name for each in SIGNALS])
        return next((each.name for each, yes in zip(SIGNALS, received, strict=True) if yes), None)

    def listen(self, reader: socket.socket) -> None:
        with reader:
            while data := reader.recv(1):
                if data[0] not in SIGNALS:
                    continue
                if self.name:
                    self.end_process(data[0])
                self.name = signal.Signals(data[0]).name
                self.say(f"{self.name}: stopping after this call; a second one stops immediately")

    def end_process(self, number: int) -> None:
        try:
            self.say(f"{signal.Signals(number).name} again: stopped without a checkpoint")
        finally:
            os._exit(128 + number)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.handlers:
            for number, handler in self.handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(-1)
            self.writer.close()
