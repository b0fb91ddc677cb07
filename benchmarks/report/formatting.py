"""Formats numbers for table cells: equal decimals down a column, a dash for none."""

import math
from collections.abc import Iterable

import numpy as np

NONE = "\N{EN DASH}"


def decimal_places(values: Iterable[float], digits: int = 4) -> int:
    """Decimals that show `digits` significant digits of the largest of `values`.

    Up to two more if the smallest value would otherwise show fewer than two; at most 6.
    """
    sizes = [abs(value) for value in values if np.isfinite(value) and value]
    if not sizes:
        return 0
    places = max(0, digits - 1 - math.floor(math.log10(max(sizes))))
    of_smallest = 1 - math.floor(math.log10(min(sizes)))
    return min(6, max(places, min(places + 2, of_smallest)))


def format_number(value: float | None, places: int) -> str:
    """With thousands separators and a true minus sign."""
    if value is None or not np.isfinite(value):
        return NONE
    return f"{value:,.{places}f}".replace("-", "\N{MINUS SIGN}")


def format_deviation(mean: float, deviation: float, places: int) -> str:
    """`1.20 ± 0.10`; only the mean if there is no deviation."""
    if not np.isfinite(mean) or not np.isfinite(deviation):
        return format_number(mean, places)
    return f"{format_number(mean, places)} ± {format_number(deviation, places)}"


def format_interval(low: float, high: float, places: int) -> str:
    """`[1.10, 1.30]`."""
    if not np.isfinite(low) or not np.isfinite(high):
        return NONE
    return f"[{format_number(low, places)}, {format_number(high, places)}]"


def join_words(words: Iterable[object]) -> str:
    """`a, b and c`."""
    words = list(map(str, words))
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def count_noun(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
