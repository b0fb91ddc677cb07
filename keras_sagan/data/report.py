"""Lines that tell a user about a prepared set."""

from typing import Any

from keras_sagan.classes import describe_classes, show_name
from keras_sagan.data.folder import SPLITS, counted
from keras_sagan.data.formats import HINTS
from keras_sagan.data.notices import describe_notices
from keras_sagan.data.source import describe_lost
from keras_sagan.preprocessing import Preprocessing

# Unreadable files that a line names; `dataset.json` names all of them.
NAMED = 3


def describe_set(record: dict[str, Any], preprocessing: Preprocessing) -> list[str]:
    """The classes of a prepared set, and what was passed over, left out, guessed or changed.

    Args:
        record: its `dataset.json`, also of an earlier version.
        preprocessing: how its images were decoded.
    """
    classes, count = record["classes"], record["count"]
    lines = [f"{count:,} images; {describe_classes(classes, record['counts'])}"]
    if splits := record.get("splits"):
        total = sum(splits.values())
        found = ", ".join(f"{show_name(name)} ({number:,})" for name, number in splits.items())
        lines.append(f"split {record['split']} of {found}: {total:,} images in all")
    elif named := [name for name in classes if name.lower() in SPLITS and len(classes) > 1]:
        lines.append(f"warning: classes with names of splits: {', '.join(map(show_name, named))}")
    if passed_over := record.get("passed_over"):
        hints = [f"for {each}: {HINTS[each]}" for each in passed_over if each in HINTS]
        lines.append("; ".join([f"passed over: {counted(passed_over)}", *hints]))
    if left_out := record["left_out"]:
        named = ", ".join(map(describe_lost, left_out[:NAMED]))
        more = ", ..." if len(left_out) > NAMED else ""
        lines.append(f"left out: {len(left_out):,} unreadable, see dataset.json: {named}{more}")
    return lines + describe_notices(record.get("noticed", {}), count, preprocessing)
