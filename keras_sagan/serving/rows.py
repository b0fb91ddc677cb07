"""The inputs of each image that a request asks for."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_sagan.classes import describe_names, find_class
from keras_sagan.errors import UsageError


def rows_of(labels: Iterable[Any] | None, seeds: Iterable[int]) -> list[dict[str, int]]:
    """For each image, name of an input to value.

    Raises:
        UsageError: if they are not integers, or not as many labels as seeds.
    """
    given = {"seeds": seeds} if labels is None else {"labels": labels, "seeds": seeds}
    try:
        columns = {name: [operator.index(value) for value in given[name]] for name in given}
        np.array(list(columns.values()), np.int64)
    except (OverflowError, TypeError, ValueError) as error:
        raise UsageError(
            "expected lists of the same length of 64-bit integers. "
            f"Received: labels={labels}, seeds={seeds}"
        ) from error
    if not columns["seeds"]:
        raise UsageError(f"expected at least one seed. Received: seeds={seeds}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def label_of(label: int | str, names: Sequence[str]) -> int:
    """The label of a class that is given as an int or, as a str, by its name.

    Raises:
        UsageError: if no class, or more than one, has the name.
    """
    found = find_class(label, names) if isinstance(label, str) else label
    if found is None:
        raise UsageError(f"expected {describe_names(names, str(label))}. Received: {label!r}")
    return found
