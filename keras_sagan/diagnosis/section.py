"""A part of the page that `doctor` prints."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras_sagan.errors import reason_of


class Section(NamedTuple):
    """What was examined together."""

    title: str
    facts: dict[str, str]  # By name, in the order of the page.
    problems: list[str]  # Each says what fails, why, and what to do.


def examine(title: str, function: Callable[..., Section], *arguments: object) -> Section:
    """The section that `function` makes; if it raises, a section with that problem alone."""
    try:
        return function(*arguments)
    except Exception as error:
        reason = f"{type(error).__name__}: {reason_of(error)}"
        return Section(title, {}, [f"{title}: cannot be examined: {reason}"])


def format_section(section: Section) -> str:
    """The title, then an indented and aligned line `name: value` for each fact."""
    width = max((len(name) for name in section.facts), default=0) + 1
    lines = [f"  {name + ':':{width}} {one_line(fact)}" for name, fact in section.facts.items()]
    return "\n".join([one_line(section.title), *lines])


def format_problems(problems: Sequence[str]) -> str:
    """One line for each problem."""
    if not problems:
        return "No problems found."
    return "\n".join(["Problems", *(f"  - {one_line(problem)}" for problem in problems)])


def one_line(text: str) -> str:
    """The text with each run of white space as one space."""
    return " ".join(text.split())
