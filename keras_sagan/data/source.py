"""The form of every kind of image set before it is prepared."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_sagan.errors import UsageError

# An image in its source: path of an encoded file, its bytes, or uint8 `[h, w, channels]`.
Payload = str | bytes | np.ndarray


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
    # Files that could not even be opened, each with `name` and `reason`.
    left_out: tuple[dict[str, str], ...] = ()


def check_classes(classes: Sequence[str], counts: Sequence[int], dataset: str) -> None:
    """Raises a `UsageError` if a class has no images to learn from."""
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        shown = ", ".join(empty[:10]) + (", ..." if len(empty) > 10 else "")
        raise UsageError(
            f"expected images in every class of {dataset}; num_classes=0 ignores the classes. "
            f"Received: {len(empty)} of {len(classes)} without images: {shown}"
        )
