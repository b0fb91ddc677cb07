"""Progress of long work: a bar on a terminal, or an occasional line in a log."""

import contextlib
import sys
import time

import tqdm

# Seconds between two lines where standard error is not a terminal.
LOG_SECONDS = 30


class Progress:
    """Reports on standard error how much of `total` is done.

    Args:
        what: str, what the numbers count, e.g. "step".
        total: int, or None if unknown.
        unit: str, in the plural, e.g. "steps".
        initial: int, how much was done before.
    """

    def __init__(self, what, total, unit, initial=0):
        self.what, self.total, self.unit, self.done = what, total, unit, initial
        look = {"unit": f" {unit}", "dynamic_ncols": True, "disable": not sys.stderr.isatty()}
        self.bar = tqdm.tqdm(desc=what, total=total, initial=initial, **look)
        self.first, self.values = None, {}
        self.said_at = -float("inf")

    def update(self, count=1, values=None):
        """Adds `count`; shows the dict of strings `values` until the next one replaces it."""
        self.done += count
        self.bar.update(count)
        if values:
            self.values = values
            self.bar.set_postfix(values)
        now = time.monotonic()
        if self.first is None:
            self.first = self.done, now  # The first update is not measured: it may compile.
        begun, begun_at = self.first
        measured = now - begun_at > 1 or begun < self.done == self.total
        if self.bar.disable and measured and now - self.said_at > LOG_SECONDS:
            self.said_at = now
            self.say(self.line((self.done - begun) / (now - begun_at)))

    def line(self, rate):
        known = self.total and rate
        left = tqdm.tqdm.format_interval((self.total - self.done) / rate) if known else "?"
        parts = [f"{self.what} {self.done}/{self.total or '?'}"]
        parts += [f"{name}={value}" for name, value in self.values.items()]
        return " ".join([*parts, f"{self.unit}/s={rate:.3g}", f"ETA={left}"])

    def say(self, line):
        """Prints a line, above the bar if there is one."""
        say_line(line)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.bar.close()


def say_line(line: str) -> None:
    """Writes a line to standard error, because standard output is for results.

    A terminal may close, and a reader of a pipe may end: that does not stop the work.
    """
    with contextlib.suppress(OSError):
        tqdm.tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()
