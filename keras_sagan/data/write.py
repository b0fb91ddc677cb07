"""Decodes a source once, in several processes, and writes the arrays that training reads."""

import array
import collections
import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import PIL

from keras_sagan.classes import show_name
from keras_sagan.data.decoders import Decoders, count_cores
from keras_sagan.data.notices import add_notes
from keras_sagan.data.pixels import describe_preprocessing
from keras_sagan.data.source import ImageSource, describe_lost
from keras_sagan.errors import RunError
from keras_sagan.progress import Progress
from keras_sagan.values import ImageSet

# Maximum queued examples per process, to limit memory.
QUEUED = 16
# Number of broken images that an error names; the log names all of them.
NAMED = 20


@dataclasses.dataclass
class Findings:
    """What preparation learns about image files besides their pixels."""

    left_out: list[dict[str, str]]  # Files without pixels: `name` and `reason`.
    noticed: dict[str, int] = dataclasses.field(default_factory=dict)  # See `add_notes`.
    hashes: dict[str, str] = dataclasses.field(default_factory=dict)  # SHA-256 by name.


def write_arrays(
    source: ImageSource, image_set: ImageSet, max_bad_fraction: float, directory: pathlib.Path
) -> None:
    """Creates `directory`, with `images.npy`, `labels.npy` and `dataset.json`.

    If the images come from the user's files, also `files.json`. Only a few images are in memory at
    a time.

    Raises:
        RunError: if more than `max_bad_fraction` of the images are broken, or all of them.
    """
    dataset, findings = image_set.dataset.text, Findings(list(source.left_out))
    if source.count is not None:
        check_left_out(findings.left_out, source.count, max_bad_fraction, dataset)
    directory.mkdir()
    labels, content = write_images(source, image_set, findings, directory / "images.npy")
    check_left_out(findings.left_out, len(labels), max_bad_fraction, dataset)
    content.update(labels.tobytes())
    np.save(directory / "labels.npy", labels)
    record = {
        "dataset": dataset,
        **source.record,
        "count": len(labels),
        "classes": source.classes,
        "counts": np.bincount(labels, minlength=len(source.classes)).tolist(),
        "preprocessing": describe_preprocessing(image_set.preprocessing)
        + f" (Pillow {PIL.__version__})",
        "image_shape": image_set.image_shape,
        "sha256": content.hexdigest(),
        "noticed": findings.noticed,
        "left_out": findings.left_out,
    }
    write_json(record | {"seal": seal_of(record)}, directory / "dataset.json")
    if source.files.files:
        source.files.write(directory, findings.hashes)


def seal_of(record: dict[str, Any]) -> str:
    """The SHA-256 of a `dataset.json` without its `seal`, by which damage is noticed."""
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def write_images(
    source: ImageSource, image_set: ImageSet, findings: Findings, path: pathlib.Path
) -> tuple[np.ndarray, Any]:
    """Writes the images as an array; returns their labels, and the SHA-256 object of the pixels."""
    content, numbers = hashlib.sha256(), array.array("i")
    with path.open("wb") as file:
        write_header(file, 0, image_set.image_shape)
        for label, image in decode_examples(source, image_set, findings):
            numbers.append(label)
            content.update(image.data)
            file.write(image.data)
        file.seek(0)
        write_header(file, len(numbers), image_set.image_shape)
    return np.array(numbers, np.int32), content


def write_json(content: dict[str, Any], path: pathlib.Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def write_header(file: BinaryIO, count: int, image_shape: tuple[int, int, int]) -> None:
    """Writes a header; NumPy reserves room for digits, so its length does not depend on `count`."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *image_shape)}
    np.lib.format.write_array_header_1_0(file, header)


def check_left_out(left_out: list, good: int, max_bad_fraction: float, dataset: str) -> None:
    """Raises a `RunError` if too many images are broken."""
    total = good + len(left_out)
    if good and len(left_out) <= max_bad_fraction * total:
        return
    named = "; ".join(map(describe_lost, left_out[:NAMED]))
    more = f"; and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    raise RunError(
        f"expected at most {max_bad_fraction:.1%} of the images of {dataset} to be unreadable "
        f"(max_bad_fraction). Received: {len(left_out)} of {total}: {named}{more}"
    )


def decode_examples(
    source: ImageSource, image_set: ImageSet, findings: Findings
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields label and pixels of each example; `findings` gets everything else.

    Raises:
        RunError: if a process that decodes cannot start, or ends.
    """
    queue = collections.deque()
    progress = Progress(f"preparing {image_set.dataset.text}: image", source.count, "images")

    def next_results():
        example, future = queue.popleft()
        result = future.result()
        progress.update()
        if isinstance(result, str):
            findings.left_out.append({"name": example.name, "reason": result})
            progress.say(f"left out: {show_name(example.name)}: {' '.join(result.split())}")
            return
        add_notes(findings.noticed, result.notes)
        if result.sha256:
            findings.hashes[example.name] = result.sha256
        yield example.label, result.pixels

    with progress, Decoders(image_set.preprocessing) as decoders:
        for example in source.examples():
            queue.append((example, decoders.submit(example.name, example.payload)))
            if len(queue) == QUEUED * count_cores():
                yield from next_results()
        while queue:
            yield from next_results()
