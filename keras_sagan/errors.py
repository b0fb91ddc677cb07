"""Errors that end a command with one line instead of a traceback."""

import re


class UsageError(ValueError):
    """The user asked for something impossible: exit code 2."""


class RunError(RuntimeError):
    """The request was valid, but carrying it out failed: exit code 1."""


class NotFinite(RunError):
    """A number of a run is NaN or infinite, and all later numbers would be too.

    Args:
        message: str.
        step: int, the first step at which it was non-finite.
        name: str, of the number.
    """

    def __init__(self, message, step, name):
        super().__init__(message)
        self.step, self.name = step, name


# Prefixes of the lines that precede the reason in TensorFlow's graph errors.
PREAMBLE = ("Graph execution error", "Detected at node", "<stack traces", " ", "\t")


def reason_of(error):
    """The first informative line of an exception's message, without TensorFlow's names."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith(PREAMBLE)]
    line = next(iter(lines), type(error).__name__)
    return re.sub(r"{{function_node .*?}} ?| \[Op:\w+\]", "", line)
