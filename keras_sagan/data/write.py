"""Decodes a source once, in several processes, and writes the arrays that training reads."""

import array
import collections
import contextlib
import hashlib
import json
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import BinaryIO

import numpy as np
import PIL

from keras_sagan.data.pixels import PREPROCESSING, decode_image
from keras_sagan.data.source import ImageSource, Payload
from keras_sagan.errors import RunError
from keras_sagan.progress import Progress
from keras_sagan.values import ImageSet

# Examples in the queue per process, which bounds the memory.
QUEUED = 16
# Broken images that an error names; the log names all of them.
NAMED = 20


def write_arrays(
    source: ImageSource, image_set: ImageSet, max_bad_fraction: float, directory: pathlib.Path
) -> None:
    """Makes `directory`, which must not exist, with `images.npy`, `labels.npy`, `dataset.json`.

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
    (directory / "dataset.json").write_text(json.dumps(record, indent=2) + "\n")


def write_header(file: BinaryIO, count: int, image_shape: tuple[int, int, int]) -> None:
    """NumPy leaves room in a header for more digits, so its length does not depend on `count`."""
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
    """Label and pixels of each example, in order; `left_out` gets names and reasons of the rest."""
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

    with progress, process_pool() as pool:
        for example in source.examples():
            # A process that starts here inherits the blocked signal.
            with interrupts_blocked():
                future = pool.submit(decode_or_explain, example.payload, size, channels)
            queue.append((example, future))
            if len(queue) == QUEUED * count_cores():
                yield from next_results()
        while queue:
            yield from next_results()


def decode_or_explain(payload: Payload, size: int, channels: int) -> np.ndarray | str:
    """The pixels of an image, or the reason why it has none. Runs in a worker process."""
    try:
        return decode_image(payload, size, channels)
    except PIL.UnidentifiedImageError:
        return "no image of a known kind"
    except Exception as error:  # Pillow's readers raise anything on a broken file.
        return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def process_pool() -> Iterator[Executor]:
    """New processes, one per core, that do not load TensorFlow and end with this one."""
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count_cores(), spawn, initializer=follow_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise RunError("a process that decodes images was killed, perhaps for memory") from error
    finally:
        pool.shutdown(cancel_futures=True)


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def interrupts_blocked() -> Iterator[None]:
    """A terminal sends Ctrl-C to all of its processes; only this one may act on it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def follow_parent() -> None:
    """Ends this process when its parent is killed."""
    if parent := multiprocessing.parent_process():
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
