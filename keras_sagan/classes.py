"""Classes by label and by name: labels that a user gives, and lines that show both.

A label is the number of a class. Where a text may be either, a decimal number is always a label: a
class whose name is a number is reached by its label.
"""

import difflib
import unicodedata
from collections.abc import Sequence

from keras_sagan.errors import UsageError

# Names in one line.
LISTED = 20


def describe_classes(names: Sequence[str], counts: Sequence[int] | None = None) -> str:
    """The label and the name of each class, e.g. `classes: 0 cats (120), 1 dogs (98)`.

    A name with a comma is quoted, as `--labels` takes it, and a name that is a number too. A name
    that equals its label is left out.

    Args:
        names: of the classes, in the order of their labels.
        counts: images of each class, or None.
    """
    shown = [str(i) if name == str(i) else f"{i} {show_name(name)}" for i, name in enumerate(names)]
    if counts is not None:
        shown = [f"{each} ({count:,})" for each, count in zip(shown, counts, strict=True)]
    return f"classes: {list_first(shown)}"


def describe_names(names: Sequence[str], wrong: str) -> str:
    """The names of classes on one line, for the error that `wrong` is not among them."""
    text = f"names of classes: {list_first([show_name(name) for name in names])}"
    if len(names) > LISTED and (close := difflib.get_close_matches(wrong, names)):
        text += f"; the closest are {', '.join(map(show_name, close))}"
    return text


def list_first(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - LISTED:,} more" if len(texts) > LISTED else ""
    return ", ".join(texts[:LISTED]) + more


def show_name(name: str) -> str:
    """A name on one line, in the quotes of CSV if it is a number or has a comma or quote."""
    line = " ".join(name.split())
    line = "".join(each for each in line if unicodedata.category(each) != "Cc")
    if is_number(line) or "," in line or '"' in line:
        return '"' + line.replace('"', '""') + '"'
    return line


def parse_labels(
    name: str, given: Sequence[str], num_classes: int, names: Sequence[str] | None
) -> list[int]:
    """The labels that texts stand for, each a label or the name of a class.

    Args:
        name: of the flag, for the error.
        given: the texts, at least one.
        num_classes: of the run or model.
        names: of its classes; None if the run's data, which have them, were not found.

    Raises:
        UsageError: if a text is neither. It lists the names.
    """
    labels = []
    for text in given or [""]:
        if is_number(text):
            # Python does not convert texts of thousands of digits.
            label = int(text) if len(text) < 12 and int(text) < num_classes else None
        else:
            label = find_class(text, names or ())
        if label is None:
            expected = describe_labels(text, num_classes, names)
            raise UsageError(f"{name} must be {expected}. Received: {text}")
        labels.append(label)
    return labels


def is_number(text: str) -> bool:
    """Whether a text is a label, not a name."""
    return text.isascii() and text.isdecimal()


def describe_labels(wrong: str, num_classes: int, names: Sequence[str] | None) -> str:
    """What `parse_labels` expects instead of `wrong`."""
    numbers = f"numbers in 0...{num_classes - 1}"
    if names is None and not is_number(wrong):
        return (
            f"{numbers}, because the names of the classes are unknown: the run's prepared data "
            "were not found (--data_dir says where they are)"
        )
    known = [*(names or ())]
    if own := [str(label) for label, each in enumerate(known) if each == wrong]:
        numbers += f" (a class named {wrong} has label {' or '.join(own)})"
    named = [each for each in known if not is_number(each)]
    return f"{numbers} or {describe_names(named, wrong)}" if named else numbers


def find_class(name: str, names: Sequence[str]) -> int | None:
    """The label of the class with this name; None if there is none, or more than one.

    An exact match comes first, then a name that differs only in its Unicode composition, then one
    that differs in case or spaces.
    """
    if names.count(name) == 1:
        return names.index(name)
    for normalize in (compose, fold_case):
        wanted = normalize(name)
        found = [label for label, each in enumerate(names) if normalize(each) == wanted]
        if len(found) == 1:
            return found[0]
    return None


def compose(name: str) -> str:
    """A name in composed characters: some file systems decompose accented ones."""
    return unicodedata.normalize("NFC", name)


def fold_case(name: str) -> str:
    """A name without differences in case and spaces."""
    return " ".join(compose(compose(name).casefold()).split())
