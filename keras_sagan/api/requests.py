"""Checks what a user asks a generator for: options, classes, seeds and truncation."""

import dataclasses
import difflib
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_sagan.classes import describe_names, find_class
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.values import LARGEST_SEED

# One value or several, e.g. labels or seeds.
OneOrMore = int | str | Sequence[int | str] | np.ndarray
# Most images that are made by default.
CLASSES = 10


def make_config(options: Mapping[str, Any]) -> Config:
    """The `Config` with these fields; without `num_classes`, it is unconditional.

    Raises:
        UsageError: if a name is not a field, or a value is impossible.
    """
    names = [field.name for field in dataclasses.fields(Config)]
    for name in options:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UsageError(f"expected fields of Config{hint} Received: {name}={options[name]!r}")
    given: dict[str, Any] = {"num_classes": 0, **options}
    config = Config(**given)
    if config.num_classes < 0:
        raise UsageError("expected num_classes of at least 0. Received: num_classes=-1")
    return config


def check_class_names(names: Sequence[str] | None, num_classes: int) -> list[str]:
    """The names of all classes; without `names`, their numbers.

    Raises:
        ValueError: if there are fewer or more names than classes, or one occurs twice.
    """
    names = [*map(str, range(num_classes) if names is None else names)]
    if len(names) != num_classes or len(set(names)) != num_classes:
        raise ValueError(
            f"expected {num_classes} different class_names, one for each class. Received: {names}"
        )
    return names


def check_labels_and_seeds(
    labels: OneOrMore | None, seeds: OneOrMore | None, class_names: Sequence[str]
) -> tuple[np.ndarray, list[int]]:
    """The class and the seed of each image.

    Args:
        labels: ints or names of classes; None cycles through the classes.
        seeds: ints in [0, 2^31); None counts from 0.
        class_names: of all classes; empty for a network without classes.

    Returns:
        int32 `[n]` labels, all 0 without classes, and n seeds. A single label or seed holds for all
        of the others. Without either, there is an image of each class, at most 10.

    Raises:
        ValueError: if a label or a seed does not exist, or their numbers differ.
    """
    if labels is not None and not class_names:
        raise ValueError(f"expected no labels for a model without classes. Received: {labels!r}")
    wanted = None if labels is None else [class_number(each, class_names) for each in items(labels)]
    given = None if seeds is None else [check_seed(each) for each in items(seeds)]
    if wanted is None:
        count = min(len(class_names), CLASSES) or 1 if given is None else len(given)
        wanted = [i % max(len(class_names), 1) for i in range(count)]
    given = given or [*range(len(wanted))]
    count = max(len(wanted), len(given))
    if not {len(wanted), len(given)} <= {1, count}:
        raise ValueError(
            "expected as many labels as seeds, or one of either. "
            f"Received: {len(wanted)} labels, {len(given)} seeds"
        )
    wanted, given = (each * count if len(each) < count else each for each in (wanted, given))
    return np.array(wanted, np.int32), given


def items(values: Any) -> list[Any]:
    """A single value or a sequence as a list.

    Raises:
        ValueError: if it is empty or has more than one axis.
    """
    found = [values] if isinstance(values, str) or np.ndim(values) == 0 else [*values]
    if not found or any(np.ndim(each) for each in found):
        raise ValueError(f"expected a value or a non-empty list of values. Received: {values!r}")
    return found


def class_number(label: Any, class_names: Sequence[str]) -> int:
    """The label of a class that is given as an int or, as a str, by its name."""
    if isinstance(label, str):
        number = find_class(label, class_names)
        if number is None:
            raise ValueError(f"expected {describe_choice(label, class_names)}. Received: {label!r}")
        return number
    number = as_int(label)
    if number is None or not 0 <= number < len(class_names):
        raise ValueError(f"expected labels in 0...{len(class_names) - 1}. Received: {label!r}")
    return number


def describe_choice(wrong: str, class_names: Sequence[str]) -> str:
    """What is expected instead of the name `wrong`."""
    if class_names == [*map(str, range(len(class_names)))]:
        return (
            f"labels in 0...{len(class_names) - 1}: these classes have no other names; "
            "class_names=[...] or, for a run, data_dir=... gives them"
        )
    return describe_names(class_names, wrong)


def check_seed(seed: Any) -> int:
    """The seed as an int, if it is one of those that commands take."""
    number = as_int(seed)
    if number is None or not 0 <= number <= LARGEST_SEED:
        raise ValueError(f"expected seeds in 0...{LARGEST_SEED}. Received: {seed!r}")
    return number


def as_int(value: Any) -> int | None:
    """A Python, NumPy or TensorFlow integer as an int; None for anything else."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def check_truncation(truncation: float | None) -> None:
    """Raises a `ValueError` if `truncation` is not None or positive and finite."""
    if truncation is not None and not 0 < truncation < float("inf"):
        raise ValueError(f"expected a positive truncation or None. Received: {truncation!r}")


def check_positive(**numbers: Any) -> None:
    """Raises a `ValueError` that names the first of `numbers` that is not a positive int."""
    for name, number in numbers.items():
        if as_int(number) is None or number < 1:
            raise ValueError(f"expected {name} of at least 1. Received: {name}={number!r}")
