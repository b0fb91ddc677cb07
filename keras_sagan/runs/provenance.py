"""What produced a number: the code, its packages and the machine."""

import importlib.metadata
import pathlib
import platform
import re
import subprocess

PACKAGES = ("keras-sagan", "tensorflow", "keras", "numpy", "tensorflow-datasets")


def version(package: str) -> str | None:
    """The installed version of a package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """The commit of this code, with `-dirty` if files differ; None outside its own checkout."""
    try:
        git("ls-files", "--error-unmatch", pathlib.Path(__file__).name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def git(*arguments: str) -> str:
    """What `git` prints in the folder of this code."""
    command, folder = ["git", *arguments], pathlib.Path(__file__).parent
    return subprocess.check_output(command, cwd=folder, stderr=subprocess.PIPE, text=True).strip()


def machine() -> str:
    """The system, its architecture and, if Linux reports it, the processor."""
    return f"{platform.system()} {platform.machine()}{processor()}"


def processor(cpuinfo: pathlib.Path = pathlib.Path("/proc/cpuinfo")) -> str:
    """The first processor's model, in parentheses after a space; empty if unknown."""
    try:
        name = re.search(r"^model name\s*:(.*)$", cpuinfo.read_text("utf-8"), re.MULTILINE)
    except OSError:
        name = None
    return f" ({name[1].strip()})" if name else ""
