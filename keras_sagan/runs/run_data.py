"""The prepared images that a run began with, wherever run and data are now."""

import contextlib
import itertools
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_sagan.classes import describe_classes
from keras_sagan.config import Config
from keras_sagan.data.prepared import Prepared, prepare
from keras_sagan.data.stamps import NAME as FILES
from keras_sagan.data.versions import list_versions, match_version
from keras_sagan.errors import RunError, UsageError
from keras_sagan.progress import say_line
from keras_sagan.runs.directory import RunDirectory


def open_run_data(run: RunDirectory, config: Config, renew: bool = False) -> Prepared:
    """Opens the images that a run began with, or prepares the images of a new run.

    The content decides, not the name: images that were added later, or another folder of the same
    name, do not change what a run is trained on and scored against.

    Args:
        run: a run that has started, or is about to.
        config: its configuration, with the `data_dir` to look in first.
        renew: whether the run resumes with the current images of `config`.

    Raises:
        UsageError: if the run's images are not found, and `config` names different ones.
        RunError: if they cannot be read or prepared.
    """
    record = find_record(run, config)
    if record and not renew and not names_another_set(run, config):
        prepared = Prepared(record.parent)
        note_changes(prepared, config)
        return prepared
    image_set, data_dir = config.image_set, config.data_dir
    try:
        prepared = prepare(image_set, data_dir, config.max_bad_fraction, renew)
    except (UsageError, RunError) as error:
        began_with = run.read_environment().get("data")
        if record or not began_with:
            raise
        looked_in = ", ".join(map(str, data_folders(run, config)))
        raise type(error)(f"{error} (looked for the run's prepared data in {looked_in})") from error
    if not renew:
        run.check_data(prepared.summary)
    elif run.read_environment().get("data"):
        check_run_classes(record and read_record(record)["classes"], prepared, config)
    return prepared


def check_run_classes(names: list[str] | None, prepared: Prepared, config: Config) -> None:
    """Raises a `UsageError` if the images that a run resumes with have other classes.

    `names` lists the run's own classes; None if the images that it began with are gone.
    """
    found = prepared.record["classes"]
    if names is None and len(found) > 1:
        say_line(
            "warning: the images that this run began with are gone: make sure that it had the same "
            f"{describe_classes(found)}"
        )
    elif names not in (None, found):
        raise UsageError(
            f"expected the classes of the run, {', '.join(names)}. "
            f"Received: {', '.join(found)} in {config.dataset}"
        )


def names_another_set(run: RunDirectory, config: Config) -> bool:
    """Whether `config` names other images than the run's own configuration."""
    if not (run.path / "config.json").exists():
        return False
    own = run.read_config().image_set.dataset
    return own.absolute_text != config.image_set.dataset.absolute_text


def data_changes(run: RunDirectory, prepared: Prepared) -> list[str]:
    """`images=old -> new` if the images have changed since the run's last start."""
    before, now = run.read_environment().get("data") or {}, prepared.summary
    if before.get("sha256") in (None, now["sha256"]):
        return []
    texts = [f"{each['count']} of hash {each['sha256'][:12]}" for each in (before, now)]
    return [f"images={' -> '.join(texts)}"]


def first_step_of_data(run: RunDirectory) -> int:
    """The step at which a run first started with the images of its last start."""
    newest = run.read_environment()
    starts = [newest, *reversed(newest.get("earlier", []))]
    sums = [(start.get("data") or {}).get("sha256") for start in starts]
    pairs = itertools.takewhile(lambda pair: pair[1] == sums[0], zip(starts, sums, strict=True))
    return min(start.get("step", 0) for start, _ in pairs)


def note_changes(prepared: Prepared, config: Config) -> None:
    """Tells the user if the images have changed since they were prepared."""
    dataset, changes = config.image_set.dataset, None
    # The run does not need the files any more.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, UsageError, RunError):
        is_there = dataset.is_own and dataset.path.exists()
        if is_there and (versions := list_equal(prepared, config)):
            _, changes = match_version(config.image_set, versions, is_quick=True)
    if changes:
        say_line(
            f"note: {config.dataset} has changed since this run began ({changes}), and the run "
            f"keeps the images it began with, in {prepared.directory}; "
            "--allow_config_change=dataset resumes with the current ones"
        )


def list_equal(prepared: Prepared, config: Config) -> list[pathlib.Path]:
    """The versions of the images that `config` names with the content of `prepared`.

    There may be several, and `prepared` may be of others, e.g. of an archive of the same folder.
    Versions without a record of their files, of earlier releases, are passed over.
    """
    versions = list_versions(config.image_set, prepared.directory.parent)
    sha256 = prepared.record["sha256"]
    return [
        path
        for path in versions
        if (path / FILES).exists() and read_record(path / "dataset.json")["sha256"] == sha256
    ]


def read_class_names(run: RunDirectory, config: Config) -> list[str] | None:
    """The names of a run's classes; None if its data are in no place where they could be."""
    if not config.num_classes:
        return []
    record = find_record(run, config)
    return read_record(record)["classes"] if record else None


def find_record(run: RunDirectory, config: Config) -> pathlib.Path | None:
    """The `dataset.json` of the images that a run began with; None before its first start."""
    data = run.read_environment().get("data")
    sha256 = data.get("sha256") if isinstance(data, dict) else None
    for folder in data_folders(run, config) if sha256 else ():
        for path in sorted(folder.glob("prepared/*/dataset.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                record = read_record(path)
                if record["sha256"] == sha256 and fits(record, config):
                    return path
    return None


def read_record(path: pathlib.Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def fits(record: dict[str, Any], config: Config) -> bool:
    """Whether prepared images, whose hash omits their shape, have the shape of `config`."""
    shape = config.image_set.image_shape
    return tuple(record.get("image_shape", shape)) == shape


def data_folders(run: RunDirectory, config: Config) -> Iterator[pathlib.Path]:
    """Where the data of a run may be: in `config.data_dir`, or moved together with the run."""
    folder = pathlib.Path(config.data_dir)
    yield folder
    paths = run.read_environment().get("paths")
    if isinstance(paths, dict):
        if str(folder) == paths.get("data_dir"):
            moved = os.path.relpath(folder, paths["run_dir"])
            yield pathlib.Path(os.path.normpath(run.path.absolute() / moved))
    elif not folder.is_absolute():  # As earlier versions recorded it: from where training started.
        yield from (parent / folder for parent in run.path.absolute().parents)
