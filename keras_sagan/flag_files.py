"""Flag files: where `--flagfile=PATH` or `--recipe=NAME` stands, the lines of a file are read.

Abseil would read them in the encoding of the locale.
"""

import codecs
import os
from collections.abc import Iterable, Iterator

from keras_sagan.errors import UsageError
from keras_sagan.packaged import find_recipe

COMMENTS = ("#", "//")
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def expand_flag_files(arguments: Iterable[str], within: tuple[str, ...] = ()) -> Iterator[str]:
    """Yields arguments, with the lines of flag files in the place of the flags that name them.

    Args:
        arguments: of a command line or a flag file.
        within: the real paths of the flag files that these are in.

    Raises:
        UsageError: if a file cannot be read or includes itself, or there is no such recipe.
    """
    given = iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        flag = name.removeprefix("-").removeprefix("-") if name.startswith("-") else ""
        if flag not in ("flagfile", "recipe"):
            yield argument
            continue
        value = value if equals else next(given, "")
        path = str(find_recipe(value)) if flag == "recipe" else os.path.expanduser(value)
        real = os.path.realpath(path)
        if real in within:
            raise UsageError(f"flag files must not include themselves. Received: flagfile={value}")
        yield from expand_flag_files(read_flag_file(path), (*within, real))


def read_flag_file(path: str) -> list[str]:
    """The lines of a flag file that are flags.

    Raises:
        UsageError: if it cannot be read or is not text.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
        encoding = "utf-16" if data.startswith(UTF_16) else "utf-8-sig"
        lines = [line.strip() for line in data.decode(encoding).split("\n")]
        text = "".join(lines)
        begin = ("-", *COMMENTS) if encoding == "utf-16" else ""  # Any bytes may be UTF-16.
        if "\0" in text or (text and not text.startswith(begin)):
            raise ValueError(f"no text in {encoding}")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"flagfile must be a text file in UTF-8. Received: flagfile={path} ({error})"
        ) from error
    return [line for line in lines if line and not line.startswith(COMMENTS)]
