"""The two ways in which a command fails with one line instead of a traceback."""

import re


class UsageError(ValueError):
    """The user asked for something impossible: exit code 2."""


class RunError(RuntimeError):
    """The request was fine, and carrying it out failed: exit code 1."""


class NotFinite(RunError):
    """A number of a run is NaN or infinite, as all that follow would be.

    Args:
        message: str.
        step: int, the first step that had it.
        name: str, of the number.
    """

    def __init__(self, message, step, name):
        super().__init__(message)
        self.step, self.name = step, name


# Lines in front of the reason in messages of TensorFlow's graphs.
PREAMBLE = ("Graph execution error", "Detected at node", "<stack traces", " ", "\t")


def reason_of(error):
    """The first telling line of an exception's message, without TensorFlow's names."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith(PREAMBLE)]
    line = next(iter(lines), type(error).__name__)
    return re.sub(r"{{function_node .*?}} ?| \[Op:\w+\]", "", line)
