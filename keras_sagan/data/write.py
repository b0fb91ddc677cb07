"""Decodes a source once, in several processes, and writes the arrays that training reads."""

import array
import collections
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import PIL

from keras_sagan.data.decoders import Decoders, count_cores
from keras_sagan.data.pixels import PREPROCESSING
from keras_sagan.data.source import ImageSource
from keras_sagan.errors import RunError
from keras_sagan.progress import Progress
from keras_sagan.values import ImageSet

# Maximum queued examples per process, to limit memory.
QUEUED = 16
# Number of broken images that an error names; the log names all of them.
NAMED = 20


def write_arrays(
    source: ImageSource, image_set: ImageSet, max_bad_fraction: float, directory: pathlib.Path
) -> None:
    """Creates `directory`, with `images.npy`, `labels.npy` and `dataset.json`.

    Only a few images are in memory at a time.

    Raises:
        RunError: if more than `max_bad_fraction` of the images are broken, or all of them.
    """
    directory.mkdir()
    content = hashlib.sha256()
    numbers, left_out = array.array("i"), []
    with (directory / "images.npy").open("wb") as file:
        write_header(file, 0, image_set.image_shape)
        for label, image in decode_examples(source, image_set, left_out):
            numbers.append(label)
            content.update(image.data)
            file.write(image.data)
        file.seek(0)
        write_header(file, len(numbers), image_set.image_shape)
    check_left_out(left_out, len(numbers), max_bad_fraction, image_set.dataset.text)
    labels = np.array(numbers, np.int32)
    content.update(labels.tobytes())
    np.save(directory / "labels.npy", labels)
    record = {
        "dataset": image_set.dataset.text,
        **source.record,
        "count": len(labels),
        "classes": source.classes,
        "counts": np.bincount(labels, minlength=len(source.classes)).tolist(),
        "preprocessing": f"{PREPROCESSING} (Pillow {PIL.__version__})",
        "image_shape": image_set.image_shape,
        "sha256": content.hexdigest(),
        "left_out": left_out,
    }
    (directory / "dataset.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def write_header(file: BinaryIO, count: int, image_shape: tuple[int, int, int]) -> None:
    """Writes a header; NumPy reserves room for digits, so its length does not depend on `count`."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *image_shape)}
    np.lib.format.write_array_header_1_0(file, header)


def check_left_out(left_out: list, good: int, max_bad_fraction: float, dataset: str) -> None:
    """Raises a `RunError` if too many images are broken."""
    total = good + len(left_out)
    if good and len(left_out) <= max_bad_fraction * total:
        return
    named = "; ".join(f"{row['name']} ({row['reason']})" for row in left_out[:NAMED])
    more = f"; and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    raise RunError(
        f"expected at most {max_bad_fraction:.1%} of the images of {dataset} to be unreadable "
        f"(max_bad_fraction). Received: {len(left_out)} of {total}: {named}{more}"
    )


def decode_examples(source, image_set, left_out: list) -> Iterator[tuple[int, np.ndarray]]:
    """Yields label and pixels of each example; `left_out` gets the rest, with reasons.

    Raises:
        RunError: if a process that decodes cannot start, or ends.
    """
    queue = collections.deque()
    size, channels = image_set.image_size, image_set.image_channels
    progress = Progress(f"preparing {image_set.dataset.text}: image", source.count, "images")

    def next_results():
        example, future = queue.popleft()
        result = future.result()
        progress.update()
        if not isinstance(result, str):
            yield example.label, result
            return
        left_out.append({"name": example.name, "reason": result})
        progress.say(f"left out: {example.name}: {result}")

    with progress, Decoders(size, channels) as decoders:
        for example in source.examples():
            queue.append((example, decoders.submit(example.name, example.payload)))
            if len(queue) == QUEUED * count_cores():
                yield from next_results()
        while queue:
            yield from next_results()
