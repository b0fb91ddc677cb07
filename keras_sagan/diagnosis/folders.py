"""What a folder allows: each thing is tried in a temporary folder, which is removed."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable

from keras_sagan.diagnosis.section import Section
from keras_sagan.files import locked, write_atomically


def examine_folder(flag: str, path: str, purpose: str) -> Section:
    """Whether a command can work in the folder `path`, or create it.

    Args:
        flag: the flag that names the folder, e.g. "run_dir".
        path: the folder; if it does not exist, its nearest parent that does is tried.
        purpose: what fails where the folder cannot be used, e.g. "training cannot start".
    """
    given = pathlib.Path(path).absolute()
    place = next(each for each in (given, *given.parents) if os.path.lexists(each))
    facts = {"folder": str(place) if place == given else f"absent; its parent {place} was tried"}
    failures = try_folder(place)
    for name, failure in failures.items():
        facts[name] = f"no: {failure}" if failure else "yes"
    if os.path.isdir(place):
        usage = shutil.disk_usage(place)
        facts["free space"] = f"{usage.free / 2**30:.1f} of {usage.total / 2**30:.1f} GiB"
    problems = [
        f"{flag}={path}: {NEEDED[name]} ({failure}): {purpose}; use another --{flag}"
        for name, failure in failures.items()
        if failure and name in NEEDED
    ]
    return Section(f"--{flag}={path}", facts, problems)


def try_folder(place: pathlib.Path) -> dict[str, str | None]:
    """Why each of `TRIALS` fails in a folder, or None; only "writable" if none can be made."""
    if not os.path.isdir(place):
        return {"writable": f"{place} is not a folder"}
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as name:
            return {trial: why_it_fails(TRIALS[trial], pathlib.Path(name)) for trial in TRIALS}
    except OSError as error:
        return {"writable": error.strerror or str(error)}


def why_it_fails(trial: Callable[[pathlib.Path], None], folder: pathlib.Path) -> str | None:
    """The reason for which a trial raises an `OSError`, or None."""
    try:
        trial(folder)
    except OSError as error:
        return error.strerror or str(error)
    return None


def try_writing(folder: pathlib.Path) -> None:
    """Writes a file to disk."""
    with (folder / "written").open("wb") as file:
        file.write(bytes(2**12))
        file.flush()
        os.fsync(file.fileno())


def try_locking(folder: pathlib.Path) -> None:
    """Locks a file, which must keep a second holder out."""
    with locked(folder / "lock"):
        try:
            with locked(folder / "lock"):
                pass
        except BlockingIOError:
            return
    raise OSError("two holders got the same lock")


def try_renaming(folder: pathlib.Path) -> None:
    """Renames a file over another one, and a folder."""
    for content in ("old", "new"):
        write_atomically(folder / "replaced", content)
    (folder / "before").mkdir()
    (folder / "before").rename(folder / "after")


def try_symbolic_link(folder: pathlib.Path) -> None:
    """Creates a symbolic link and follows it."""
    (folder / "target").touch()
    (folder / "symbolic").symlink_to("target")
    (folder / "symbolic").read_bytes()


def try_hard_link(folder: pathlib.Path) -> None:
    """Creates a hard link."""
    (folder / "original").touch()
    (folder / "hard").hardlink_to(folder / "original")


TRIALS = {
    "writable": try_writing,
    "locks": try_locking,
    "rename": try_renaming,
    "symbolic links": try_symbolic_link,
    "hard links": try_hard_link,
}
# What a command depends on, as it stands in a problem. None of them makes links.
NEEDED = {"writable": "not writable", "locks": "locking fails", "rename": "renaming fails"}
