"""Images from a server that runs what `keras_sagan.export` wrote.

client = Client("localhost:8501")
images = client.images(labels=[3, 3, 7], seeds=[0, 1, 0])  # uint8 [3, height, width, channels]
"""

import contextlib
import io
import operator
import random
import time

import numpy as np
from PIL import Image

from keras_sagan.errors import RunError, UsageError
from keras_sagan.serving import over_rest
from keras_sagan.serving.failures import Target, Unavailable, failure

# A server with batching on refuses a request of more rows than its largest batch.
ROWS_PER_REQUEST = 16
# Seconds before the first retry; twice as many before each further one, less up to half by chance,
# so that clients that failed together do not come back together.
BACKOFF = 0.2
# Of an image that a few bytes may stand for; no network of this project makes a sixtieth of it.
MOST_PIXELS = 2**24
DTYPES = {"DT_HALF": "float16", "DT_FLOAT": "float32", "DT_DOUBLE": "float64"}


class Client:
    """Asks TensorFlow Serving. It keeps no connection and may be used by several threads.

    Args:
        server: str, HOST:PORT of the protocol.
        model: str, the name that the server knows the model by.
        version: int; None: the newest that the server has.
        protocol: "rest", or "grpc", which needs the extra `serving`.
        timeout: float, seconds for a call of a method, with all its requests and retries.
        retries: int, further tries of a request if the server refuses or drops the connection or
            says that it is unavailable.

    Raises:
        UsageError: for an argument that cannot be, or without the packages that gRPC needs.
    """

    def __init__(self, server, model="sagan", version=None, protocol="rest", timeout=60, retries=3):
        host, _, port = server.rpartition(":")
        number = port.isascii() and port.isdecimal() and 0 < int(port) < 2**16
        if not (is_name(host) and number):
            raise UsageError(f"expected HOST:PORT, as localhost:8501. Received: server={server}")
        if not (0 < timeout <= 1e6 and retries >= 0):
            raise UsageError(
                "expected a timeout above 0 and up to 1e6 seconds, and no negative number of "
                f"retries. Received: timeout={timeout}, retries={retries}"
            )
        self.target = Target(server, model, version)
        self.transport = transport_of(protocol)
        self.timeout, self.retries = timeout, retries

    def images(self, labels, seeds):
        """The image of each label with the seed beside it.

        Args:
            labels: n ints, classes. None for a network without classes.
            seeds: n ints, at least one.

        Returns:
            uint8 `[n, height, width, channels]`.

        Raises:
            UsageError: if the server has no such model, or it does not take the request, or this is
                none.
            RunError: if the server cannot be reached in time, fails, or answers no images.
        """
        rows = rows_of(labels, seeds)
        deadline, files = time.monotonic() + self.timeout, []
        for i in range(0, len(rows), ROWS_PER_REQUEST):
            part = rows[i : i + ROWS_PER_REQUEST]
            answer = self.ask(self.transport.predict, "png", "image_bytes", part, deadline=deadline)
            if len(answer) != len(part):
                raise RunError(
                    f"expected {len(part)} images. Received: {self.target}: {len(answer)}"
                )
            files += answer
        images = [self.decode(file) for file in files]
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise RunError(
                f"expected images of one shape. Received: {self.target}: {sorted(shapes)}"
            )
        return np.stack(images)

    def status(self):
        """What the server says of the model's versions.

        Returns:
            A list of dicts: `version`, int; `state`, as AVAILABLE or LOADING; `error`, str, empty
            without one.

        Raises:
            UsageError, RunError: as of `images`.
        """
        answer = self.ask(self.transport.status, deadline=time.monotonic() + self.timeout)
        with self.understood("the status of a model"):
            # What is 0 or unknown may be left out.
            return [
                {
                    "version": int(each.get("version", 0)),
                    "state": each.get("state", "UNKNOWN"),
                    "error": each.get("status", {}).get("error_message", ""),
                }
                for each in answer["model_version_status"]
            ]

    def metadata(self):
        """The model's signatures.

        Returns:
            A dict from name of a signature to a dict of `inputs` and `outputs`, each a dict from
            name to dtype and shape: `("int64", [None])`.

        Raises:
            UsageError, RunError: as of `images`.
        """
        answer = self.ask(self.transport.metadata, deadline=time.monotonic() + self.timeout)
        with self.understood("signatures"):
            return {
                signature: {
                    side: {name: tensor_of(info) for name, info in sorted(values[side].items())}
                    for side in ("inputs", "outputs")
                }
                for signature, values in sorted(answer["signature_def"].items())
                if not signature.startswith("__")  # The loader's own.
            }

    def ask(self, question, *arguments, deadline):
        """What `question`, a function of the transport, answers; asked again if unavailable."""
        tries = 0
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise failure(self.target, "DEADLINE_EXCEEDED", f"none in {self.timeout:.3g} s")
            try:
                return question(self.target, *arguments, seconds=left)
            except Unavailable as error:
                pause = BACKOFF * 2**tries * random.uniform(0.5, 1)
                tries += 1
                if tries > self.retries or pause >= deadline - time.monotonic():
                    raise RunError(f"{error} (tries: {tries})") from error
                time.sleep(pause)

    def decode(self, file):
        """A PNG file, gray or RGB, as an array `[height, width, channels]`."""
        try:
            image = Image.open(io.BytesIO(file), formats=["PNG"])
            if image.width * image.height > MOST_PIXELS:
                raise RunError(
                    f"expected images of at most {MOST_PIXELS:,} pixels. Received: {self.target}: "
                    f"{image.width} x {image.height}"
                )
            pixels = np.asarray(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise RunError(f"expected PNG files. Received: {self.target}: {file[:20]}") from error
        if image.mode not in ("L", "RGB"):
            raise RunError(f"expected gray or RGB images. Received: {self.target}: {image.mode}")
        return pixels if pixels.ndim == 3 else pixels[..., None]

    @contextlib.contextmanager
    def understood(self, what):
        """Around code that takes an answer to pieces."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"expected {what}. Received: {self.target}: {error!r}") from error


def is_name(host):
    """Whether this may be the name or address of a machine, as far as Python cares."""
    try:
        host.encode("idna")
    except UnicodeError:  # An empty part, or one of more than 63 characters.
        return False
    return bool(host) and host.isprintable() and " " not in host


def transport_of(protocol):
    if protocol == "rest":
        return over_rest
    if protocol != "grpc":
        raise UsageError(f"expected rest or grpc. Received: protocol={protocol}")
    try:
        # It takes seconds to import, since the messages need TensorFlow.
        from keras_sagan.serving import over_grpc
    except ModuleNotFoundError as error:
        raise UsageError(
            "gRPC needs the extra serving: pip install '.[serving]'. Received: protocol=grpc: "
            f"{error}"
        ) from error
    return over_grpc


def rows_of(labels, seeds):
    """A dict from name of an input to int for each image."""
    columns = {"seeds": seeds} if labels is None else {"labels": labels, "seeds": seeds}
    try:
        columns = {name: [operator.index(value) for value in columns[name]] for name in columns}
        np.array(list(columns.values()), np.int64)
    except (OverflowError, TypeError, ValueError) as error:
        raise UsageError(
            "expected lists, equally long, of whole numbers of 64 bits. "
            f"Received: labels={labels}, seeds={seeds}"
        ) from error
    if not columns["seeds"]:
        raise UsageError(f"expected at least one seed. Received: seeds={seeds}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def tensor_of(info):
    """Dtype and shape of a TensorInfo, a dict."""
    dtype = info["dtype"]
    sizes = [int(dim["size"]) for dim in info["tensor_shape"].get("dim", [])]
    shape = [None if size < 0 else size for size in sizes]
    return DTYPES.get(dtype, dtype.removeprefix("DT_").lower()), shape
