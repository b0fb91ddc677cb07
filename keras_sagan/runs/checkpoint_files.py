"""The files of checkpoints `step-N` in a folder, and the seal by which each is known to be whole.

TensorFlow's own checksums cover the values, and not all of the index. So beside each checkpoint
lies `step-N.sha256`, of its files as they were written, in the form of sha256sum. What no variable
holds is in `step-N.counted.json`: what had been counted for the record that was to come.
"""

import hashlib
import json
import pathlib
import re
import shutil

from keras_sagan.errors import RunError
from keras_sagan.files import write_atomically

SEAL = ".sha256"
COUNTED = ".counted.json"
TEMPORARY = "unfinished"


def kept(directory):
    """Paths of the checkpoints in `directory`, without suffix, from old to new.

    The files are the list. A seal without its index is that of a damaged checkpoint, and stands
    here too; data alone are what a kill has left.
    """
    paths = [*directory.glob("step-*.index"), *directory.glob(f"step-*{SEAL}")]
    names = {path.stem for path in paths if re.fullmatch(r"step-\d+", path.stem)}
    return [str(directory / name) for name in sorted(names, key=step_of)]


def step_of(path):
    return int(pathlib.Path(path).name.rpartition("-")[2])


def latest(directory):
    """Path of the newest checkpoint in `directory`.

    Raises:
        RunError: if there is none.
    """
    paths = kept(pathlib.Path(directory))
    if not paths:
        raise RunError(f"expected a checkpoint. Received: none in {directory}")
    return paths[-1]


def write(checkpoint, directory, step, keep, passing, counted):
    """Writes a `tf.train.Checkpoint` as `step-N`; then those go that it replaces.

    Whenever this is cut off, every checkpoint in the folder is whole.

    Args:
        checkpoint: `tf.train.Checkpoint`.
        directory: `pathlib.Path`.
        step: int. Checkpoints of later steps are of a future that was given up.
        keep: int, how many of the newest stay.
        passing: the step of one that goes whatever its age, or None.
        counted: dict that goes with it, or None.

    Returns:
        The path.
    """
    directory.mkdir(parents=True, exist_ok=True)
    remove_unfinished(directory)
    written = checkpoint.write(str(directory / TEMPORARY))
    if counted is not None:
        (directory / (TEMPORARY + COUNTED)).write_text(json.dumps(counted) + "\n")
    path = directory / f"step-{step}"
    remove(path)
    sources = sorted(files_of(pathlib.Path(written)))  # The index is last: it makes a checkpoint.
    targets = [path.name + source.name.removeprefix(TEMPORARY) for source in sources]
    sources.append(write_seal(directory, sources, targets))
    for source, target in zip(sources, [*targets, path.name + SEAL], strict=True):
        source.rename(directory / target)
    before = [each for each in kept(directory) if passing != step_of(each) < step]
    stay = [*before, str(path)][-keep:]
    write_list(directory, stay)
    for each in set(kept(directory)).difference(stay):
        remove(pathlib.Path(each))
    return str(path)


def write_seal(directory, sources, targets):
    """The seal of files that will have other names; returns its path, which is temporary too."""
    path = directory / (TEMPORARY + SEAL)
    pairs = zip(sources, targets, strict=True)
    path.write_text("".join(f"{sha256(source)}  {target}\n" for source, target in pairs))
    return path


def write_list(directory, paths):
    """The list that TensorFlow itself goes by, as in `tf.train.latest_checkpoint`."""
    names = [pathlib.Path(path).name for path in paths]
    lines = [f'model_checkpoint_path: "{names[-1]}"\n']
    lines += [f'all_model_checkpoint_paths: "{name}"\n' for name in names]
    write_atomically(directory / "checkpoint", "".join(lines))


def files_of(path):
    """The files of the checkpoint `path`, but for its seal."""
    found = path.parent.glob(f"{path.name}.*")
    return [each for each in found if not each.name.startswith(path.name + SEAL)]


def remove(path):
    """The seal first, then the index: what a kill leaves is no checkpoint, not a broken one."""
    for suffix in (SEAL, ".index"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for each in files_of(path):
        each.unlink()


def remove_unfinished(directory):
    """What a kill has left: files that were being written, and those without an index."""
    for path in [*directory.glob(f"{TEMPORARY}*"), *directory.glob("*.tmp")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    known = {pathlib.Path(path).name for path in kept(directory)}
    for path in directory.glob("step-*.*"):
        if path.name.partition(".")[0] not in known:
            path.unlink()


def read_counted(path):
    """The dict that was written with a checkpoint; empty for one of an earlier version.

    Raises:
        RunError: if it cannot be read.
    """
    path = pathlib.Path(path)
    try:
        return json.loads(path.with_name(path.name + COUNTED).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"checkpoint {path} cannot be read: {error}") from error


def check_seal(path):
    """Whether the files of a checkpoint are those that were written.

    One without a seal is of an earlier version, or a kill came before it: it has TensorFlow's
    checksums alone.

    Raises:
        RunError: if not.
    """
    path = pathlib.Path(path)
    seal = path.with_name(path.name + SEAL)
    try:
        if not seal.exists():
            return
        expected = [line.split("  ") for line in seal.read_text().splitlines()]
        found = [[sha256(each), each.name] for each in sorted(files_of(path))]
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"checkpoint {path} cannot be read: {error}") from error
    if not found or expected != found:
        names = [line[-1] for line in expected]
        absent = [name for name in names if not path.with_name(name).exists()]
        wrong = [name for digest, name in found if [digest, name] not in expected]
        reason = f"there is no {absent[0]}" if absent else f"{', '.join(wrong)} has changed"
        raise RunError(f"checkpoint {path} cannot be read: {reason}")


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
