"""Signals during training: the run stops with a checkpoint, from which it can resume."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence

from keras_sagan.signals import ENDING, ending_signals, handlers_restored

# A second one of these ends the process immediately. Others may come repeatedly: a shell and the
# system both send SIGHUP when a terminal closes.
URGENT = (signal.SIGTERM, signal.SIGINT)


class Preemption:
    """Remembers the first signal; after SIGTERM or SIGINT, another one ends the process.

    A thread handles them, because Python's own handlers wait until a runtime call returns.

    `say` is a function that shows the user a line. `any_process` is `Cluster.any_process`, if the
    run may have several processes.
    """

    def __init__(
        self, say: Callable[[str], None], any_process: Callable[[Sequence[bool]], list[bool]] = list
    ) -> None:
        self.say, self.any_process = say, any_process
        self.name, self.is_urgent, self.has_begun = None, False, False
        self.host_descriptor, self.stack = -1, contextlib.ExitStack()

    def received_signal(self) -> str | None:
        """The name of the signal that asks the run to stop, whichever process got it, or None.

        The first call starts listening, so make it after training has begun. Before that, there is
        nothing to save, and a signal ends the process as usual.
        """
        if not self.has_begun:
            self.has_begun = True
            self.begin_listening()
        received = self.any_process([self.name == each.name for each in ENDING])
        return next((each.name for each, yes in zip(ENDING, received, strict=True) if yes), None)

    def begin_listening(self) -> None:
        """Handles all signals that this process does not ignore; Python can in its main thread."""
        reader, writer = socket.socketpair()
        self.stack.callback(writer.close)
        writer.setblocking(False)
        try:
            self.host_descriptor = signal.set_wakeup_fd(writer.fileno())
        except ValueError:
            reader.close()
            self.say("note: not in Python's main thread, so a signal will not save a checkpoint")
            return
        self.stack.callback(signal.set_wakeup_fd, self.host_descriptor)
        numbers = ending_signals()
        self.stack.enter_context(handlers_restored(*numbers))
        threading.Thread(target=self.listen, args=(reader,), daemon=True).start()
        for number in numbers:
            # Python itself writes the signal's number to the socket.
            handler = signal.signal(number, lambda *_: None)
            # Without a handler from Python, `handlers_restored` brings back the one of C code.
            self.stack.callback(signal.signal, number, handler or signal.SIG_DFL)

    def listen(self, reader: socket.socket) -> None:
        with reader:
            while data := reader.recv(1):
                if data[0] in ENDING:
                    self.receive(signal.Signals(data[0]))
                elif self.host_descriptor >= 0:
                    with contextlib.suppress(OSError):
                        os.write(self.host_descriptor, data)

    def receive(self, number: signal.Signals) -> None:
        urgent = number in URGENT
        if urgent and self.is_urgent:
            self.end_process(number)
        if urgent or not self.name:
            second = "; a second one stops immediately" if urgent else ""
            self.name, self.is_urgent = self.name or number.name, urgent
            self.say(f"{number.name}: stopping after this call{second}")

    def end_process(self, number: signal.Signals) -> None:
        try:
            self.say(f"{number.name} again: stopped without a checkpoint")
        finally:
            os._exit(128 + number)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stack.close()
