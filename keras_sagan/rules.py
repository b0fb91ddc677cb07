"""What a field of `Config` is made of: its default, rule, help and history."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

# `before` of a field that the first version had: every configuration has it.
ALWAYS = object()


class Rule(NamedTuple):
    """What a value must be."""

    text: str  # Continues "NAME must be".
    holds: Callable[[Any], bool]  # Function of the value.
    choices: tuple = ()  # All valid values, if there are only a few.


def one_of(*values: Any) -> Rule:
    return Rule(f"one of {', '.join(map(str, values))}", lambda value: value in values, values)


def at_least(least: int) -> Rule:
    return Rule(f"at least {least}", lambda value: value >= least)


ANY = Rule("anything", lambda value: True)
SHARE = Rule("in [0, 1]", lambda value: 0 <= value <= 1)
DECAY = Rule("in [0, 1)", lambda value: 0 <= value < 1)
POSITIVE = Rule("positive and finite", lambda value: 0 < value < float("inf"))
DURATION = Rule("finite and at least 0", lambda value: 0 <= value < float("inf"))
IMAGE_SIZE = Rule("a power of 2 from 16 to 512", lambda value: value in (16, 32, 64, 128, 256, 512))


def option(
    default: Any, text: str, rule: Rule = ANY, *, resumable: bool = False, before: Any = ALWAYS
) -> Any:
    """A field of `Config`; `text` is its flag's help.

    A run may resume with another value of a `resumable` field: it changes no number of a step. For
    a field added later, `before` is the value that matches the earlier behavior. A `config.json`
    without the field means this value.
    """
    metadata = {"help": text, "rule": rule, "resumable": resumable, "before": before}
    return dataclasses.field(default=default, metadata=metadata)
