"""What a server's refusal means to the one who asked."""

import dataclasses

from keras_sagan.errors import RunError, UsageError


class Unavailable(RunError):
    """No answer, or none now: asking again may help."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A model on a server.

    Args:
        server: str, HOST:PORT.
        model: str, the name that the server knows it by.
        version: int; None: the newest that the server has.
    """

    server: str
    model: str
    version: int | None

    def __str__(self):
        version = "" if self.version is None else f", version={self.version}"
        return f"server={self.server}, model={self.model}{version}"


def failure(target, code, text):
    """The exception for an answer that is an error.

    Args:
        target: `Target` that was asked.
        code: str, a status code of gRPC by its name.
        text: str, what the server says.
    """
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
