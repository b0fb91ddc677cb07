"""The files of checkpoints `step-N` in a folder, and the seal that shows that each is intact.

TensorFlow's own checksums cover the values, but only part of the index. So beside each checkpoint
is `step-N.sha256`, with hashes of its files as written, in sha256sum's format. The sums so far for
the next record, which no variable holds, are in `step-N.partial_record.json`.
"""

import hashlib
import json
import pathlib
import re
import shutil
from typing import Any

from keras_sagan.errors import RunError
from keras_sagan.files import literal_path, write_atomically

SEAL = ".sha256"
PARTIAL_RECORD = ".partial_record.json"
# Its name in runs of version 0.1.0.
EARLIER_PARTIAL_RECORD = ".counted.json"
UNFINISHED_CHECKPOINT = "unfinished"


def list_checkpoints(directory: pathlib.Path) -> list[str]:
    """Paths of the checkpoints in `directory`, without suffix, from old to new.

    The files themselves are the list. A seal without its index belongs to a damaged checkpoint,
    which is listed too. Data files alone are leftovers of a kill.
    """
    paths = [*directory.glob("step-*.index"), *directory.glob(f"step-*{SEAL}")]
    names = {path.stem for path in paths if re.fullmatch(r"step-\d+", path.stem)}
    return [str(directory / name) for name in sorted(names, key=step_of)]


def step_of(path: str | pathlib.Path) -> int:
    """The step in the name of a checkpoint."""
    return int(pathlib.Path(path).name.rpartition("-")[2])


def newest_checkpoint(directory: str | pathlib.Path) -> str:
    """Path of the newest checkpoint in `directory`; raises `RunError` if there is none."""
    paths = list_checkpoints(pathlib.Path(directory))
    if not paths:
        raise RunError(f"expected a checkpoint. Received: none in {directory}")
    return paths[-1]


def write_checkpoint(
    checkpoint: Any, path: pathlib.Path, keep: int, temporary_step=None, partial_record=None
) -> str:
    """Writes a checkpoint, then removes those that it replaces; returns its path.

    If this is interrupted at any point, every checkpoint in the folder is intact.

    Args:
        checkpoint: `tf.train.Checkpoint` to write.
        path: `FOLDER/step-N`. Checkpoints of steps after N are abandoned and removed.
        keep: how many of the newest checkpoints to keep.
        temporary_step: int, of a temporary checkpoint, which is removed in any case, or None.
        partial_record: dict to write with the checkpoint; see `read_partial_record`.
    """
    directory, step = path.parent, step_of(path)
    directory.mkdir(parents=True, exist_ok=True)
    remove_unfinished_checkpoints(directory)
    with literal_path(directory) as literal:
        checkpoint.write(str(literal / UNFINISHED_CHECKPOINT))
    if partial_record is not None:
        text = json.dumps(partial_record) + "\n"
        (directory / (UNFINISHED_CHECKPOINT + PARTIAL_RECORD)).write_text(text, "utf-8")
    remove_checkpoint(path)
    # The index, last, makes a checkpoint.
    sources = sorted(files_of(directory / UNFINISHED_CHECKPOINT))
    targets = [path.name + each.name.removeprefix(UNFINISHED_CHECKPOINT) for each in sources]
    sources.append(write_seal(directory, sources, targets))
    for source, target in zip(sources, [*targets, path.name + SEAL], strict=True):
        source.rename(directory / target)
    present = list_checkpoints(directory)
    before = [each for each in present if temporary_step != step_of(each) < step]
    stay = [*before, str(path)][-keep:]
    write_list(directory, stay)
    for each in set(present).difference(stay):
        remove_checkpoint(pathlib.Path(each))
    return str(path)


def write_seal(directory, sources, targets) -> pathlib.Path:
    """Writes the seal of `sources` under their final names; returns its temporary path."""
    path = directory / (UNFINISHED_CHECKPOINT + SEAL)
    pairs = zip(sources, targets, strict=True)
    lines = [f"{sha256(source)}  {target}\n" for source, target in pairs]
    path.write_text("".join(lines), "utf-8")
    return path


def write_list(directory: pathlib.Path, paths: list[str]) -> None:
    """Writes the list that TensorFlow reads, e.g. in `tf.train.latest_checkpoint`."""
    names = [pathlib.Path(path).name for path in paths]
    lines = [f'model_checkpoint_path: "{names[-1]}"\n']
    lines += [f'all_model_checkpoint_paths: "{name}"\n' for name in names]
    write_atomically(directory / "checkpoint", "".join(lines))


def files_of(path: pathlib.Path) -> list[pathlib.Path]:
    """The files of the checkpoint `path`, without its seal."""
    found = path.parent.glob(f"{path.name}.*")
    return [each for each in found if not each.name.startswith(path.name + SEAL)]


def remove_checkpoint(path: pathlib.Path) -> None:
    """Removes the seal first, then the index, so a kill leaves no broken checkpoint."""
    for suffix in (SEAL, ".index"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for each in files_of(path):
        each.unlink()


def remove_unfinished_checkpoints(directory: pathlib.Path) -> None:
    """Removes leftovers of a kill: files being written, and files without an index."""
    for path in [*directory.glob(f"{UNFINISHED_CHECKPOINT}*"), *directory.glob("*.tmp")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    known = {pathlib.Path(path).name for path in list_checkpoints(directory)}
    for path in directory.glob("step-*.*"):
        if path.name.partition(".")[0] not in known:
            path.unlink()


def read_partial_record(path: str | pathlib.Path) -> dict[str, Any]:
    """The partial record of a checkpoint; empty if it was written without one.

    Raises:
        RunError: if it cannot be read.
    """
    path = pathlib.Path(path)
    try:
        for suffix in (PARTIAL_RECORD, EARLIER_PARTIAL_RECORD):
            file = path.with_name(path.name + suffix)
            if file.exists():
                return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"checkpoint {path} cannot be read: {error}") from error
    return {}


def check_seal(path: str | pathlib.Path) -> None:
    """Checks that the files of a checkpoint are unchanged since they were written.

    A checkpoint without a seal is from an earlier version, or a kill prevented the seal. Only
    TensorFlow's own checksums protect it.

    Raises:
        RunError: if not.
    """
    path = pathlib.Path(path)
    seal = path.with_name(path.name + SEAL)
    try:
        if not seal.exists():
            return
        expected = [line.split("  ") for line in seal.read_text("utf-8").splitlines()]
        found = [[sha256(each), each.name] for each in sorted(files_of(path))]
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"checkpoint {path} cannot be read: {error}") from error
    if not found or expected != found:
        names = [line[-1] for line in expected]
        absent = [name for name in names if not path.with_name(name).exists()]
        wrong = [name for digest, name in found if [digest, name] not in expected]
        reason = f"there is no {absent[0]}" if absent else f"{', '.join(wrong)} has changed"
        raise RunError(f"checkpoint {path} cannot be read: {reason}")


def sha256(path: pathlib.Path) -> str:
    """Hash of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
