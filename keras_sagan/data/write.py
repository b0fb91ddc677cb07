"""Reads a source once, in several processes, and writes what the training reads."""

import array
import collections
import concurrent.futures
import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import threading

import numpy as np
import PIL

from keras_sagan.data.pixels import PREPROCESSING, pixels
from keras_sagan.errors import RunError
from keras_sagan.progress import Progress

# Examples that wait for a process, or for one before them, by process.
AHEAD = 16
# Names of broken images in an error; all of them are lines of the log.
NAMED = 20


def write(source, config, directory):
    """Makes `directory` with `images.npy`, `labels.npy` and `dataset.json`.

    No more than a few images are in memory at a time.

    Args:
        source: `Source`.
        config: `Config`; its size, channels and `max_bad_fraction` count.
        directory: path, not there yet.

    Raises:
        RunError: if more than `config.max_bad_fraction` of the images are broken, or none is left.
    """
    directory.mkdir()
    labels, bad = array.array("i"), []
    content = hashlib.sha256()
    progress = Progress(f"preparing {config.dataset}: image", source.count, "images")
    with progress, (directory / "images.npy").open("wb") as file:
        write_header(file, 0, config)
        for example, result in decoded(source, config, progress):
            if isinstance(result, str):
                bad.append({"name": example.name, "reason": result})
                progress.say(f"left out: {example.name}: {result}")
                continue
            labels.append(example.label)
            content.update(result)
            file.write(result)
        file.seek(0)
        write_header(file, len(labels), config)
        file.flush()
        os.fsync(file.fileno())
    check_bad(bad, len(labels), config)
    labels = np.array(labels, np.int32)
    content.update(labels.tobytes())
    np.save(directory / "labels.npy", labels)
    record = {
        "dataset": config.dataset,
        **source.record,
        "count": len(labels),
        "classes": source.classes,
        "counts": np.bincount(labels, minlength=len(source.classes)).tolist(),
        "preprocessing": f"{PREPROCESSING} (Pillow {PIL.__version__})",
        "image_shape": image_shape(config),
        "sha256": content.hexdigest(),
        "left_out": bad,
    }
    (directory / "dataset.json").write_text(json.dumps(record, indent=2) + "\n")


def image_shape(config):
    return (config.image_size, config.image_size, config.image_channels)


def write_header(file, count, config):
    """NumPy leaves room in a header for more digits: its length does not depend on `count`."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *image_shape(config))}
    np.lib.format.write_array_header_1_0(file, header)


def check_bad(bad, good, config):
    total = good + len(bad)
    if good and len(bad) <= config.max_bad_fraction * total:
        return
    named = "; ".join(f"{row['name']} ({row['reason']})" for row in bad[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    raise RunError(
        f"expected at most {config.max_bad_fraction:.1%} of the images of {config.dataset} to be "
        f"unreadable (max_bad_fraction). Received: {len(bad)} of {total}: {named}{more}"
    )


def decoded(source, config, progress):
    """Pairs of each example and its pixels, or the reason for which it has none, in order."""
    waiting = collections.deque()

    def next_result():
        example, future = waiting.popleft()
        result = future.result()
        progress.update()
        return example, result

    with processes() as pool:
        for example in source.examples():
            payload = example.payload
            with interruptions_held():  # A process that starts here has them held for good.
                future = pool.submit(attempt, payload, config.image_size, config.image_channels)
            waiting.append((example, future))
            if len(waiting) == AHEAD * cores():
                yield next_result()
        while waiting:
            yield next_result()


def attempt(payload, size, channels):
    """The pixels of an image, or in words why it has none. Runs in a process of its own."""
    try:
        return pixels(payload, size, channels)
    except PIL.UnidentifiedImageError:
        return "no image of a known kind"
    except Exception as error:  # Whatever a broken file makes Pillow's readers raise.
        return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def processes():
    """Fresh processes, one a core, that do not load TensorFlow; they end with this one."""
    pool = concurrent.futures.ProcessPoolExecutor(
        cores(), multiprocessing.get_context("spawn"), initializer=follow_parent
    )
    try:
        yield pool
    except concurrent.futures.process.BrokenProcessPool as error:
        raise RunError("a process that decodes images was killed, perhaps for memory") from error
    finally:
        pool.shutdown(cancel_futures=True)


def cores():
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def interruptions_held():
    """Ctrl-C goes to every process of a terminal; only this one is to act on it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def follow_parent():
    """Ends a process when a kill has ended its parent."""
    if parent := multiprocessing.parent_process():
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
