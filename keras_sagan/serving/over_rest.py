"""Requests to TensorFlow Serving over its REST interface.

Source: https://www.tensorflow.org/tfx/serving/api_rest. Of the standard library, only `http.client`
lets a deadline hold for an answer that arrives in small pieces.
"""

import base64
import http.client
import json
import time
import urllib.parse
from typing import Any

from keras_sagan.errors import RunError
from keras_sagan.serving.failures import Target, failure

# The server's codes (http_server.cc) that tell a client what to do.
CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


def request_strings(
    target: Target, signature: str, output: str, rows: list[dict[str, int]], seconds: float
) -> list[bytes]:
    """Asks a signature for its only output, of strings: one or several for each of `rows`.

    Args:
        target: the model on a server.
        signature: its name.
        output: its name.
        rows: name of an input to value, for each image. They are sent as rows, because the server
            rejects a row with an unknown input but ignores an unknown column.
        seconds: time to answer.

    Raises:
        Unavailable: if there is no answer, or none now.
        UsageError: if the server rejects the request.
        RunError: if it fails, is late, or answers something else.
    """
    request = {"signature_name": signature, "instances": rows}
    answer = request_json(target, "POST", ":predict", seconds, json.dumps(request))
    try:
        return strings_in(answer["predictions"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"expected {output}. Received: {target}: {json.dumps(answer)[:200]}"
        ) from error


def strings_in(value: Any) -> list[bytes]:
    """All strings of an answer; outputs whose names end in `_bytes` are in base64."""
    if isinstance(value, list):
        return [text for each in value for text in strings_in(each)]
    if isinstance(value, str):
        return [value.encode()]
    return [base64.b64decode(value["b64"], validate=True)]


def request_status(target: Target, seconds: float) -> dict[str, Any]:
    """The server's GetModelStatusResponse; arguments and errors as of `request_strings`."""
    return request_json(target, "GET", "", seconds)


def request_metadata(target: Target, seconds: float) -> dict[str, Any]:
    """Its SignatureDefMap; arguments and errors as of `request_strings`."""
    answer = request_json(target, "GET", "/metadata", seconds)
    try:
        return answer["metadata"]["signature_def"]
    except (KeyError, TypeError) as error:
        raise RunError(f"expected signatures. Received: {target}: {answer}"[:300]) from error


def request_json(target, method, suffix, seconds, body=None) -> dict[str, Any]:
    """The JSON object that the server answers, for the model's path with this suffix."""
    host, _, port = target.server.rpartition(":")
    path = f"/v1/models/{urllib.parse.quote(target.model, safe='')}"
    if target.version is not None:
        path += f"/versions/{target.version}"
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=seconds)
    deadline = time.monotonic() + seconds
    try:
        code, text = read_answer(connection, method, path + suffix, body, deadline)
    except TimeoutError as error:
        raise failure(target, "DEADLINE_EXCEEDED", f"none in {seconds:.3g} s") from error
    except (OSError, http.client.IncompleteRead) as error:
        raise failure(target, "UNAVAILABLE", f"{type(error).__name__}: {error}") from error
    except http.client.HTTPException as error:
        raise failure(target, "no HTTP", f"{error}: is it the port of gRPC?") from error
    finally:
        connection.close()
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if code != 200:
        said = answer.get("error") if isinstance(answer, dict) else text[:200]
        raise failure(target, CODES.get(code, f"HTTP {code}"), said)
    if not isinstance(answer, dict):
        raise RunError(f"expected a JSON object. Received: {target}: {text[:200]}")
    return answer


def read_answer(connection, method, path, body, deadline) -> tuple[int, str]:
    """Sends a request and reads the status and text of the answer.

    Raises:
        TimeoutError: at the deadline, a `time.monotonic`.
        OSError, HTTPException: if the connection is refused or lost.
    """
    connection.request(method, path, body, {"Content-Type": "application/json"})
    socket, parts = connection.sock, []
    response = connection.getresponse()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        socket.settimeout(left)
        part = response.read1(2**16)
        if not part:
            break
        parts.append(part)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return response.status, b"".join(parts).decode(errors="replace")
