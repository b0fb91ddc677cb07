"""Questions to TensorFlow Serving over its REST interface.

Source: https://www.tensorflow.org/tfx/serving/api_rest. The module of the standard library that is
used, and no other, lets a deadline hold for an answer that comes in small pieces.
"""

import base64
import http.client
import json
import time
import urllib.parse

from keras_sagan.errors import RunError
from keras_sagan.serving.failures import failure

# The server's codes (http_server.cc), as far as they tell a client what to do.
CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


def predict(target, signature, output, rows, seconds):
    """One output, of strings, for each of `rows`.

    Args:
        target: `Target`.
        signature: str.
        output: str, name of the signature's only output.
        rows: list of dicts, from name of an input to int. Sent as rows, of which the server refuses
            one with an input too many; among columns it would leave that out of account.
        seconds: float, time to answer.

    Returns:
        A list of bytes.

    Raises:
        Unavailable: if there is no answer, or none now.
        UsageError: if the server does not take the request.
        RunError: if it fails, is late, or answers something else.
    """
    request = {"signature_name": signature, "instances": rows}
    answer = call(target, "POST", ":predict", seconds, json.dumps(request))
    try:
        return [base64.b64decode(each["b64"], validate=True) for each in answer["predictions"]]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"expected {output} in base64. Received: {target}: {json.dumps(answer)[:200]}"
        ) from error


def status(target, seconds):
    """The server's GetModelStatusResponse, a dict; arguments and errors as of `predict`."""
    return call(target, "GET", "", seconds)


def metadata(target, seconds):
    """Its SignatureDefMap, a dict; arguments and errors as of `predict`."""
    answer = call(target, "GET", "/metadata", seconds)
    try:
        return answer["metadata"]["signature_def"]
    except (KeyError, TypeError) as error:
        raise RunError(f"expected signatures. Received: {target}: {answer}"[:300]) from error


def call(target, method, what, seconds, body=None):
    """The JSON object that the server answers."""
    host, _, port = target.server.rpartition(":")
    path = f"/v1/models/{urllib.parse.quote(target.model, safe='')}"
    if target.version is not None:
        path += f"/versions/{target.version}"
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=seconds)
    try:
        code, text = exchange(connection, method, path + what, body, time.monotonic() + seconds)
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


def exchange(connection, method, path, body, deadline):
    """Status and text of the answer.

    Raises:
        TimeoutError: at the deadline, a time of `time.monotonic`.
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
