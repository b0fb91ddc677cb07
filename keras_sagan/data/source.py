"""The form of every kind of image set before it is prepared."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_sagan.classes import show_name
from keras_sagan.data.stamps import NO_FILES, SourceFiles
from keras_sagan.errors import UsageError


class Member(NamedTuple):
    """A file in a ZIP archive."""

    archive: str  # Its path.
    name: str  # As the archive has it.


# An image in its source: an encoded file, as a path, a member or bytes; or uint8
# `[h, w, channels]`.
Payload = str | Member | bytes | np.ndarray


@dataclasses.dataclass(frozen=True)
class Example:
    """One image and its label."""

    name: str  # How messages refer to it.
    payload: Payload
    label: int  # Index into the source's classes.


@dataclasses.dataclass(frozen=True)
class ImageSource:
    """An image set before it is prepared."""

    record: dict[str, Any]  # What `dataset.json` says about it: source, version, split, and so on.
    classes: tuple[str, ...]  # Names of the classes; one for a set without labels.
    count: int | None  # Number of examples; None if unknown before they are read.
    # Iterates over the examples, always in the same order. The order mixes the classes, so any
    # prefix represents the whole set.
    examples: Callable[[], Iterable[Example]]
    # Files and folders that cannot be read: each a dict of `name` and `reason`.
    left_out: Sequence[dict[str, str]] = ()
    files: SourceFiles = NO_FILES  # The user's files that it is made from.


def check_classes(
    classes: Sequence[str], counts: Sequence[int], dataset: str, left_out: Sequence[dict[str, str]]
) -> None:
    """Raises a `UsageError` if a class has no images to learn from.

    Args:
        classes: their names.
        counts: of their images.
        dataset: what the user named.
        left_out: what could not be read, with `name` and `reason`, for the message.
    """
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        shown = ", ".join(empty[:10]) + (", ..." if len(empty) > 10 else "")
        raise UsageError(
            f"expected images in every class of {dataset}; num_classes=0 ignores the classes. "
            f"Received: {len(empty)} of {len(classes)} without images: {shown}"
            f"{list_unreadable(left_out)}"
        )


def list_unreadable(left_out: Sequence[dict[str, str]]) -> str:
    """The end of a message that something is missing: what could not be read, if anything."""
    return f"; unreadable: {', '.join(map(describe_lost, left_out[:10]))}" if left_out else ""


def describe_lost(row: dict[str, str]) -> str:
    """A file that could not be read, and why, on one line."""
    return f"{show_name(row['name'])} ({' '.join(row['reason'].split())})"
