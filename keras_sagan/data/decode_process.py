"""A process that decodes images: `python -m keras_sagan.data.decode_process PREPROCESSING`.

PREPROCESSING is a `Preprocessing` as JSON. The process writes `READY`. Then it reads requests from
standard input, each a line of JSON and the payload's bytes, and answers each on standard output: a
line of JSON, followed by the pixels unless the line gives a reason why there are none. It exits at
the end of standard input.
"""

import dataclasses
import functools
import hashlib
import io
import json
import os
import sys
import zipfile
from typing import Any

import numpy as np
import PIL

from keras_sagan.data.formats import explain_unknown
from keras_sagan.data.pixels import RefusedImageError, decode_image
from keras_sagan.data.source import Member, Payload
from keras_sagan.preprocessing import Preprocessing

READY = b"ready\n"
# Larger files, in bytes, are not read into memory at once.
LARGE = 2**26
# Largest file in an archive, in bytes; it is read into memory at once.
LARGEST_MEMBER = 2**30


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decoded image."""

    pixels: np.ndarray  # uint8 `[size, size, channels]`.
    notes: dict[str, int]  # What `decode_image` found and changed.
    sha256: str | None  # Of the file; None for an array.


def main(preprocessing: Preprocessing) -> None:
    """Answers requests until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What libraries print must not get between the answers.
    answers.write(READY)
    answers.flush()
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        data = sys.stdin.buffer.read(request["bytes"])
        result = decode_or_explain(unpack_payload(data, request), preprocessing)
        if isinstance(result, str):
            answers.write(json.dumps({"reason": result}).encode() + b"\n")
        else:
            answer = {"notes": result.notes, "sha256": result.sha256}
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.write(result.pixels.tobytes())
        answers.flush()


def pack_payload(payload: Payload) -> tuple[dict[str, Any], bytes]:
    """A payload as a JSON-serializable request and bytes."""
    shape = None
    if isinstance(payload, Member):
        kind, data = "member", json.dumps(payload).encode()
    elif isinstance(payload, str):
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
    if request["kind"] == "member":
        return Member(*json.loads(data))
    if request["kind"] == "array":
        return np.frombuffer(data, np.uint8).reshape(request["shape"])
    return data


def open_payload(payload: str | Member | bytes) -> io.BytesIO | io.BufferedReader:
    """Opens a file: in memory unless it is large, because Pillow reads in small parts."""
    if isinstance(payload, bytes):
        return io.BytesIO(payload)
    if isinstance(payload, Member):
        return io.BytesIO(read_member(payload))
    with open(payload, "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size <= LARGE:
            return io.BytesIO(file.read())
    return open(payload, "rb")


def read_member(member: Member) -> bytes:
    """The bytes of a file in an archive; raises a `RefusedImageError` if there are too many."""
    archive = open_archive(member.archive)
    size = archive.getinfo(member.name).file_size
    if size > LARGEST_MEMBER:
        raise RefusedImageError(f"a file of {size / 2**30:.1f} GiB in an archive, above 1 GiB")
    return archive.read(member.name)


@functools.lru_cache(maxsize=1)
def open_archive(path: str) -> zipfile.ZipFile:
    """A ZIP archive that stays open, because reading its table takes time."""
    return zipfile.ZipFile(path)


def decode_or_explain(payload: Payload, preprocessing: Preprocessing) -> Decoded | str:
    """A decoded image, or the reason why it is not decoded."""
    try:
        if isinstance(payload, np.ndarray):
            return Decoded(*decode_image(payload, preprocessing), None)
        with open_payload(payload) as file:
            try:
                pixels, notes = decode_image(file, preprocessing)
            except PIL.UnidentifiedImageError:
                file.seek(0)
                return explain_unknown(file.read(64))
            file.seek(0)
            return Decoded(pixels, notes, hashlib.file_digest(file, hashlib.sha256).hexdigest())
    except RefusedImageError as error:
        return str(error)
    except Exception as error:  # Pillow's readers raise anything on a broken file.
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(Preprocessing(**json.loads(sys.argv[1])))
