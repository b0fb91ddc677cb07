"""SIGTERM and SIGINT while a run trains: it is to stop, and to be able to go on."""

import os
import signal
import socket
import threading

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Preemption:
    """Remembers the first signal; the second one ends the process at once.

    A thread sees to both: Python's own handlers wait until a call of the runtime returns.

    Args:
        say: function of a line, which tells the user.
        anywhere: `Cluster.anywhere`, if this process may have others beside it.
    """

    def __init__(self, say, anywhere=list):
        self.say, self.anywhere = say, anywhere
        self.name, self.handlers = None, {}

    def asked(self):
        """The name of the signal that asks the run to stop, whichever process got it, or None.

        Listens from the first time on that this is called, so call it when training has begun:
        before, there is nothing to save, and a signal ends the process as it did.
        """
        if not self.handlers:
            reader, self.writer = socket.socketpair()
            self.writer.setblocking(False)
            threading.Thread(target=self.listen, args=(reader,), daemon=True).start()
            signal.set_wakeup_fd(self.writer.fileno())
            # What they do is to write the number to the socket.
            self.handlers = {each: signal.signal(each, lambda *_: None) for each in SIGNALS}
        asked = self.anywhere([self.name == each.name for each in SIGNALS])
        return next((each.name for each, yes in zip(SIGNALS, asked, strict=True) if yes), None)

    def listen(self, reader):
        with reader:
            while data := reader.recv(1):
                if data[0] not in SIGNALS:
                    continue
                if self.name:
                    self.end(data[0])
                self.name = signal.Signals(data[0]).name
                self.say(f"{self.name}: stopping after this call; once more: at once")

    def end(self, number):
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
