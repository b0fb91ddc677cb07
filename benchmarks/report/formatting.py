"""Numbers as the text of a table's cells: the same decimals down a column, a dash for none."""

import math

import numpy as np

NONE = "\N{EN DASH}"


def decimals(values, digits=4):
    """As many as show `digits` significant digits of the largest of `values`.

    Up to two more where the smallest would show less than two; at most 6.
    """
    sizes = [abs(value) for value in values if np.isfinite(value) and value]
    if not sizes:
        return 0
    places = max(0, digits - 1 - math.floor(math.log10(max(sizes))))
    of_smallest = 1 - math.floor(math.log10(min(sizes)))
    return min(6, max(places, min(places + 2, of_smallest)))


def fixed(value, places):
    """With thousands separators, and a true minus."""
    if value is None or not np.isfinite(value):
        return NONE
    return f"{value:,.{places}f}".replace("-", "\N{MINUS SIGN}")


def plus_minus(mean, deviation, places):
    """`1.20 ± 0.10`; the mean alone where there is no deviation."""
    if not np.isfinite(mean) or not np.isfinite(deviation):
        return fixed(mean, places)
    return f"{fixed(mean, places)} ± {fixed(deviation, places)}"


def between(low, high, places):
    """`[1.10, 1.30]`."""
    if not np.isfinite(low) or not np.isfinite(high):
        return NONE
    return f"[{fixed(low, places)}, {fixed(high, places)}]"


def listed(words):
    """`a, b and c`."""
    words = list(map(str, words))
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def counted(number, noun):
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
