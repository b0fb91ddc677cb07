"""A process that decodes images: `python -m keras_sagan.data.decode_process SIZE CHANNELS`.

It writes `READY`. Then it reads requests from standard input, each a line of JSON and the payload's
bytes, and answers each on standard output: a line of JSON, and the pixels unless that has a reason
why there are none. It ends with its standard input.
"""

import json
import os
import sys
from typing import Any

import numpy as np
import PIL

from keras_sagan.data.pixels import decode_image
from keras_sagan.data.source import Payload

READY = b"ready\n"


def main(size: int, channels: int) -> None:
    """Answers requests until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What libraries print must not get between the answers.
    answers.write(READY)
    answers.flush()
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        data = sys.stdin.buffer.read(request["bytes"])
        result = decode_or_explain(unpack_payload(data, request), size, channels)
        is_reason = isinstance(result, str)
        answers.write(json.dumps({"reason": result if is_reason else None}).encode() + b"\n")
        answers.write(b"" if is_reason else result.tobytes())
        answers.flush()


def pack_payload(payload: Payload) -> tuple[dict[str, Any], bytes]:
    """A payload as a JSON-serializable request and bytes."""
    shape = None
    if isinstance(payload, str):
        kind, data = "path", os.fsencode(payload)
    elif isinstance(payload, bytes):
        kind, data = "file", payload
    else:
        kind, data, shape = "array", payload.tobytes(), payload.shape
    return {"kind": kind, "shape": shape, "bytes": len(data)}, data


def unpack_payload(data: bytes, request: dict[str, Any]) -> Payload:
    """The payload that `pack_payload` packed."""
    if request["kind"] == "path":
        return os.fsdecode(data)
    if request["kind"] == "array":
        return np.frombuffer(data, np.uint8).reshape(request["shape"])
    return data


def decode_or_explain(payload: Payload, size: int, channels: int) -> np.ndarray | str:
    """The pixels of an image, or the reason why it has none."""
    try:
        return decode_image(payload, size, channels)
    except PIL.UnidentifiedImageError:
        return "no image of a known kind"
    except Exception as error:  # Pillow's readers raise anything on a broken file.
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
