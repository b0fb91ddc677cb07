"""Images from a server of what `keras_sagan.export` wrote.

client = Client("localhost:8501")
images = client.images(labels=[3, 3, 7], seeds=[0, 1, 0])  # uint8 [3, height, width, channels]
"""

import contextlib
import io
import random
import time
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from keras_sagan.errors import RunError, UsageError
from keras_sagan.serving import over_rest
from keras_sagan.serving.failures import Target, Unavailable, failure
from keras_sagan.serving.rows import label_of, rows_of

# With batching, a server rejects a request of more rows than its largest batch.
ROWS_PER_REQUEST = 16
# Seconds before the first retry, doubled for each further one. Up to half of it is taken off at
# random, so that clients that failed together do not return together.
BACKOFF = 0.2
# A few bytes may claim to be a huge image. Images of this project are sixty times smaller.
MOST_PIXELS = 2**24
DTYPES: dict[str, str] = {"DT_HALF": "float16", "DT_FLOAT": "float32", "DT_DOUBLE": "float64"}


class Client:
    """Asks TensorFlow Serving for images. It keeps no connection, and threads may share it.

    Args:
        server: HOST:PORT of the protocol.
        model: name by which the server knows the model.
        version: version of the model; None for the newest one on the server.
        protocol: "rest", or "grpc", which needs the extra `serving`.
        timeout: seconds for a method call, including all its requests and retries.
        retries: further tries of a request when the server is unavailable, or refuses or drops the
            connection.

    Raises:
        UsageError: if an argument is impossible, or the packages that gRPC needs are missing.
    """

    def __init__(
        self,
        server: str,
        model: str = "sagan",
        version: int | None = None,
        protocol: str = "rest",
        timeout: float = 60,
        retries: int = 3,
    ) -> None:
        host, _, port = server.rpartition(":")
        number = port.isascii() and port.isdecimal() and 0 < int(port) < 2**16
        if not (is_host(host) and number):
            raise UsageError(f"expected HOST:PORT, e.g. localhost:8501. Received: server={server}")
        if not (0 < timeout <= 1e6 and retries >= 0):
            raise UsageError(
                "expected a timeout above 0 and up to 1e6 seconds, and at least 0 retries. "
                f"Received: timeout={timeout}, retries={retries}"
            )
        self.target = Target(server, model, version)
        self.transport = transport_of(protocol)
        self.timeout, self.retries = timeout, retries

    def images(self, labels: Iterable[int | str] | None, seeds: Iterable[int]) -> np.ndarray:
        """Gets one image for each pair of label and seed.

        Args:
            labels: n classes, ints or names; None for a network without classes. Names need another
                request, and a model that was exported with them.
            seeds: n numbers, at least one.

        Returns:
            uint8 `[n, height, width, channels]`.

        Raises:
            UsageError: if the arguments are invalid, the server has no such model, or the model
                rejects the request.
            RunError: if the server cannot be reached in time, fails, or answers no images.
        """
        deadline, files = time.monotonic() + self.timeout, []
        if isinstance(labels, Iterable):
            labels = self.resolve_names([*labels], deadline)
        rows = rows_of(labels, seeds)
        for i in range(0, len(rows), ROWS_PER_REQUEST):
            part = rows[i : i + ROWS_PER_REQUEST]
            request = self.transport.request_strings
            answer = self.ask(request, "png", "image_bytes", part, deadline=deadline)
            if len(answer) != len(part):
                raise self.unexpected(f"{len(part)} images", len(answer))
            files += answer
        images = [self.decode_image(file) for file in files]
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise self.unexpected("images of one shape", sorted(shapes))
        return np.stack(images)

    def class_names(self) -> list[str]:
        """Gets the names of the model's classes, in the order of their labels.

        Raises:
            UsageError: if the model was exported without them, or as `images`.
            RunError: as `images`.
        """
        return self.ask_class_names(time.monotonic() + self.timeout)

    def resolve_names(self, labels: list[Any], deadline: float) -> list[Any]:
        """Replaces names by labels; asks the server for the names if there are any."""
        if not any(isinstance(label, str) for label in labels):
            return labels
        names = self.ask_class_names(deadline)
        return [label_of(label, names) for label in labels]

    def ask_class_names(self, deadline: float) -> list[str]:
        request, row = self.transport.request_strings, {"labels": 0}
        try:
            found = self.ask(request, "classes", "class_names", [row], deadline=deadline)
        except UsageError as error:
            raise UsageError(
                "labels by name need a model that was exported with the names of its classes; the "
                f"README.md of the export lists the labels: {error}"
            ) from error
        return [name.decode("utf-8", "replace") for name in found]

    def status(self) -> list[dict[str, Any]]:
        """Gets the state of the model's versions.

        Returns:
            For each version: `version`, int; `state`, e.g. AVAILABLE or LOADING; `error`, str,
            empty without one.

        Raises:
            UsageError, RunError: as `images`.
        """
        answer = self.ask(self.transport.request_status, deadline=time.monotonic() + self.timeout)
        with self.understood("the status of a model"):
            # The server may omit what is 0 or unknown.
            return [
                {
                    "version": int(each.get("version", 0)),
                    "state": each.get("state", "UNKNOWN"),
                    "error": each.get("status", {}).get("error_message", ""),
                }
                for each in answer["model_version_status"]
            ]

    def metadata(self) -> dict[str, dict[str, dict[str, tuple[str, list[int | None]]]]]:
        """Gets the model's signatures.

        Returns:
            Name of a signature to `inputs` and `outputs`, each from name to dtype and shape:
            `("int64", [None])`.

        Raises:
            UsageError, RunError: as `images`.
        """
        answer = self.ask(self.transport.request_metadata, deadline=time.monotonic() + self.timeout)
        with self.understood("signatures"):
            return {
                signature: {
                    side: {name: tensor_of(info) for name, info in sorted(values[side].items())}
                    for side in ("inputs", "outputs")
                }
                for signature, values in sorted(answer["signature_def"].items())
                if not signature.startswith("__")  # The loader's own.
            }

    def ask(self, request: Callable[..., Any], *arguments: Any, deadline: float) -> Any:
        """Calls `request`, a function of the transport, again as long as it is unavailable."""
        tries = 0
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise failure(self.target, "DEADLINE_EXCEEDED", f"none in {self.timeout:.3g} s")
            try:
                return request(self.target, *arguments, seconds=left)
            except Unavailable as error:
                pause = BACKOFF * 2**tries * random.uniform(0.5, 1)
                tries += 1
                if tries > self.retries or pause >= deadline - time.monotonic():
                    raise RunError(f"{error} (tries: {tries})") from error
                time.sleep(pause)

    def decode_image(self, file: bytes) -> np.ndarray:
        """Decodes a PNG file, gray or RGB: uint8 `[height, width, channels]`."""
        try:
            image = Image.open(io.BytesIO(file), formats=["PNG"])
            if image.width * image.height > MOST_PIXELS:
                size = f"{image.width} x {image.height}"
                raise self.unexpected(f"images of at most {MOST_PIXELS:,} pixels", size)
            pixels = np.asarray(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise self.unexpected("PNG files", file[:20]) from error
        if image.mode not in ("L", "RGB"):
            raise self.unexpected("gray or RGB images", image.mode)
        return pixels if pixels.ndim == 3 else pixels[..., None]

    def unexpected(self, expected: str, received: object) -> RunError:
        """The error for an answer that is not what was `expected`."""
        return RunError(f"expected {expected}. Received: {self.target}: {received}")

    @contextlib.contextmanager
    def understood(self, what: str) -> Iterator[None]:
        """Turns failures to read an answer, which should be `what`, into a `RunError`."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.unexpected(what, repr(error)) from error


def is_host(host: str) -> bool:
    """Whether Python accepts this as the name or address of a machine."""
    try:
        host.encode("idna")
    except UnicodeError:  # An empty part, or one of more than 63 characters.
        return False
    return bool(host) and host.isprintable() and " " not in host


def transport_of(protocol: str) -> ModuleType:
    """The module that speaks this protocol."""
    if protocol == "rest":
        return over_rest
    if protocol != "grpc":
        raise UsageError(f"expected rest or grpc. Received: protocol={protocol}")
    try:
        # The import takes seconds, because the messages need TensorFlow.
        from keras_sagan.serving import over_grpc
    except ModuleNotFoundError as error:
        raise UsageError(
            "gRPC needs the extra serving: pip install '.[serving]'. Received: protocol=grpc: "
            f"{error}"
        ) from error
    return over_grpc


def tensor_of(info: dict[str, Any]) -> tuple[str, list[int | None]]:
    """Dtype and shape of a TensorInfo."""
    dtype = info["dtype"]
    sizes = [int(dim["size"]) for dim in info["tensor_shape"].get("dim", [])]
    name = DTYPES.get(dtype) or dtype.removeprefix("DT_").lower()
    return name, [None if size < 0 else size for size in sizes]
