"""The two ways in which a command fails with one line instead of a traceback."""


class UsageError(ValueError):
    """The user asked for something impossible: exit code 2."""


class RunError(RuntimeError):
    """The request was fine, and carrying it out failed: exit code 1."""
