"""How far long work has come: a bar on a terminal, a line now and then in a log."""

import sys
import time

import tqdm

# Seconds between two lines of a log that is no terminal.
LOG_SECONDS = 30


class Progress:
    """Tells on standard error what is done of `total`.

    Args:
        what: str, of what the numbers count, as "step".
        total: int, or None if not known.
        unit: str, in the plural, as "steps".
        initial: int, done before.
    """

    def __init__(self, what, total, unit, initial=0):
        self.what, self.total, self.unit, self.done = what, total, unit, initial
        look = {"unit": f" {unit}", "dynamic_ncols": True, "disable": not sys.stderr.isatty()}
        self.bar = tqdm.tqdm(desc=what, total=total, initial=initial, **look)
        self.first, self.values = None, {}
        self.said_at = -float("inf")

    def update(self, count=1, values=None):
        """`count` more are done; `values`, a dict of text, is shown beside until others come."""
        self.done += count
        self.bar.update(count)
        if values:
            self.values = values
            self.bar.set_postfix(values)
        now = time.monotonic()
        if self.first is None:
            self.first = self.done, now  # What comes before it is no measure: it may compile.
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
        """A line, above the bar where there is one."""
        tqdm.tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.bar.close()
