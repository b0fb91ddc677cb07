"""What every kind of image set looks like before it is prepared."""

import dataclasses
from collections.abc import Callable, Iterable

from keras_sagan.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Example:
    """One image as its source has it.

    Attributes:
        name: what a person finds it by.
        payload: path of an encoded file, its bytes, or uint8 `[h, w, channels]`.
        label: int, index in the source's classes.
    """

    name: str
    payload: object
    label: int


@dataclasses.dataclass(frozen=True)
class Source:
    """An image set.

    Attributes:
        record: dict of what `dataset.json` says of it: source, version, split, and so on.
        classes: names of the classes; one for a set without labels.
        count: int, examples; None if not known before they are read.
        examples: function of no arguments that gives an iterable of `Example`, always in the same
            order, in which classes are mixed: a prefix stands for the whole.
    """

    record: dict
    classes: tuple[str, ...]
    count: int | None
    examples: Callable[[], Iterable[Example]]


def check_classes(classes, counts, dataset):
    """Whether every class has images.

    Raises:
        UsageError: if one has none: nothing could be learned of it.
    """
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        shown = ", ".join(empty[:10]) + (", ..." if len(empty) > 10 else "")
        raise UsageError(
            f"expected images in every class of {dataset}, or num_classes=0 to leave classes out. "
            f"Received: {len(empty)} of {len(classes)} without images: {shown}"
        )
