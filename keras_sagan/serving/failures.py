"""What a server's error means to the caller."""

import dataclasses

from keras_sagan.errors import RunError, UsageError


class Unavailable(RunError):
    """No answer, or none now. Another try may help."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A model on a server."""

    server: str  # HOST:PORT.
    model: str  # The name by which the server knows it.
    version: int | None  # None for the newest one on the server.

    def __str__(self) -> str:
        version = "" if self.version is None else f", version={self.version}"
        return f"server={self.server}, model={self.model}{version}"


def failure(target: Target, code: str, text: str | None) -> Exception:
    """The exception for an error with this `code`, a name of gRPC's, and the server's message."""
    text = "".join(filter(str.isprintable, " ".join(str(text).split())))
    if code == "UNAVAILABLE":
        return Unavailable(f"expected an answer. Received: {target}: {text}")
    if code == "DEADLINE_EXCEEDED":
        return RunError(f"expected an answer before the deadline. Received: {target}: {text}")
    if code == "NOT_FOUND":
        return UsageError(f"expected a model that the server has. Received: {target}: {text}")
    if code in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"):
        return UsageError(f"expected a request that the model takes. Received: {target}: {text}")
    return RunError(f"expected an answer. Received: {target}: {code}: {text}")
