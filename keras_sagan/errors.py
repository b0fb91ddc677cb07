"""The two ways in which a command fails with one line instead of a traceback."""

import re


class UsageError(ValueError):
    """The user asked for something impossible: exit code 2."""


class RunError(RuntimeError):
    """The request was fine, and carrying it out failed: exit code 1."""


def reason_of(error):
    """The first line of an exception's message, without what TensorFlow says of its operations."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return re.sub(r"{{function_node .*?}} ?| \[Op:\w+\]", "", line)
