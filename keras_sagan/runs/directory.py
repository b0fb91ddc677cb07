"""The folder of one run: its lock, its configuration and its JSON lines."""

import contextlib
import dataclasses
import datetime
import json
import operator
import os
import pathlib
import platform
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from keras_sagan.config import Config
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import locked, write_atomically
from keras_sagan.runs.provenance import PACKAGES, commit, machine, version
from keras_sagan.values import local_path

# Fields that affect the numbers of a run but may change, on request, when it resumes.
CHANGEABLE = ("g_lr", "d_lr", "beta_1", "beta_2", "ema_decay", "dataset")
# Upper limit on the bytes of a JSON line.
LINE = 2**16


class RunDirectory:
    """Paths and records of a run.

    Args:
        path: the folder; `lock` creates it if it does not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(local_path("run_dir", os.fspath(path)))
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.samples = self.path / "samples"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run for this process. The system frees the lock when the process ends.

        Raises:
            RunError: if another process holds it, or the folder cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(locked(self.path / "lock"))
                file.truncate(0)
                file.write(f"process {os.getpid()} on {platform.node()}\n")
                file.flush()
                for left_over in self.path.glob("*.tmp"):  # From a kill.
                    left_over.unlink()
            except BlockingIOError as error:
                message = f"run_dir={self.path} is in use by another trainer: {error}"
                raise RunError(message) from error
            except OSError as error:
                raise RunError(f"run_dir={self.path} cannot be written: {error}") from error
            yield

    def read_config(self) -> Config:
        """The run's `Config`.

        Raises:
            UsageError: if there is none, or this version cannot read it.
        """
        path = self.path / "config.json"
        try:
            return Config.from_json(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"expected a run directory with config.json. Received: run_dir={self.path}"
            ) from error
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error

    def check_config(self, config: Config, allowed: Sequence[str] = ()) -> list[str]:
        """Checks that a run of `config` may start or resume here.

        Returns:
            The fields in `allowed` that differ, each as `name=old -> new`.

        Raises:
            UsageError: if fields that may not change differ from the folder's run.
        """
        if not (self.path / "config.json").exists():
            return []
        differing = differences(self.read_config(), config)
        changes = [each for each in differing if each.partition("=")[0] in allowed]
        if refused := [each for each in differing if each not in changes]:
            raise UsageError(
                f"run_dir={self.path} holds a run with another configuration: "
                f"{'; '.join(refused)}. Use another run_dir, or the run's own values"
            )
        return changes

    def write_config(self, config: Config) -> None:
        """Claims the folder for `config`."""
        write_atomically(self.path / "config.json", config.with_absolute_paths().to_json())

    def check_data(self, record: dict[str, Any]) -> None:
        """Checks that prepared data with this `dataset.json` are what the run started with.

        Raises:
            UsageError: if the contents differ.
        """
        began = self.read_environment().get("data")
        began_with = began.get("sha256") if isinstance(began, dict) else None
        if began_with not in (None, record["sha256"]):
            raise UsageError(
                f"run_dir={self.path} began with other images than {record['dataset']} has now: "
                "use another run_dir, or --allow_config_change=dataset to resume with these. "
                f"Received: content hash {record['sha256'][:12]}, not {began_with[:12]}"
            )

    def read_environment(self) -> dict[str, Any]:
        """The record of the newest start; empty before the first.

        Raises:
            RunError: if it is broken, because then nobody knows what the run started with.
        """
        path = self.path / "environment.json"
        try:
            environment = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            environment = error
        if not isinstance(environment, dict):
            raise RunError(
                f"expected the JSON object of a run's starts in {path}; remove it to "
                f"resume without it. Received: {environment}"
            )
        return environment

    def write_environment(self, step: int, devices: list[str], facts: dict) -> list[str] | None:
        """Records what this start of the run depends on besides its configuration.

        Earlier starts stay in the record, under `earlier`.

        Args:
            step: the step at which the run starts or resumes.
            devices: their names.
            facts: what else to record: `data`, the `summary` of the prepared set; `device`;
                `networks`, their costs; `processes`, a number.

        Returns:
            The devices of the previous start, or None.
        """
        before = self.read_environment()
        earlier = [*before.pop("earlier", []), before] if before else []
        environment = {
            "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "step": step,
            "command": [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
            "commit": commit(),
            "devices": devices,
            **facts,
            "machine": f"{machine()}, {os.cpu_count()} CPUs",
            "python": platform.python_version(),
            "packages": {name: version(name) for name in PACKAGES},
            "earlier": earlier,
        }
        text = json.dumps(environment, indent=2) + "\n"
        write_atomically(self.path / "environment.json", text)
        return earlier[-1].get("devices") if earlier else None

    def write_stop(self, step: int, signal: str) -> None:
        """Records that a signal stopped the run at a step, for the next start."""
        stop = {"step": step, "signal": signal}
        write_atomically(self.path / "stop.json", json.dumps(stop) + "\n")

    def read_stop(self, step: int | None = None) -> dict[str, Any] | None:
        """The record of `write_stop`, or None; if `step` is given, only a record of that step."""
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            stop = json.loads((self.path / "stop.json").read_text("utf-8"))
            return stop if step in (stop["step"], None) and stop["signal"] else None
        return None

    def remove_stop(self) -> None:
        """Removes the record of `write_stop`, because the run has continued."""
        (self.path / "stop.json").unlink(missing_ok=True)

    def append(self, name: str, *rows: dict[str, Any]) -> None:
        """Adds `rows` to the JSON lines of file `name`, in one write.

        A last line cut off by a kill or a full disk is removed, or it would spoil the next one.
        """
        with (self.path / name).open("ab+") as file:
            begin = max(file.seek(0, os.SEEK_END) - LINE, 0)
            file.seek(begin)
            file.truncate(begin + file.read().rfind(b"\n") + 1)
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode())

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The JSON lines of file `name` that have a step; empty if there is no file."""
        path = self.path / name
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if step_in(line) is not None]

    def last_row(self, name: str) -> dict[str, Any]:
        """The last JSON line of file `name`; empty if there is none."""
        path = self.path / name
        if not path.exists():
            return {}
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - LINE, 0))
            lines = file.read().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def drop_rows_after(self, name: str, step: int) -> str | None:
        """Drops the lines of file `name` that a run resumed at `step` will write again.

        Returns a warning if it also drops broken lines, except a last one, which a kill leaves.
        """
        path = self.path / name
        if not path.exists():
            return None
        lines = [(line, step_in(line)) for line in path.read_bytes().splitlines()]
        kept = [line.decode() for line, of in lines if of is not None and of <= step]
        write_atomically(path, "".join(line + "\n" for line in kept))
        broken = sum(of is None for _, of in lines[:-1])
        return f"{path}: left out {broken} broken lines" if broken else None


def step_in(line: bytes) -> int | None:
    """The step of a JSON line; None if the line is broken."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        line.decode()
        return operator.index(json.loads(line)["step"])
    return None


def differences(old: Config, new: Config) -> list[str]:
    """Fields that differ and prevent a run from resuming, each as `name=old -> new`."""
    old, new = old.with_absolute_paths(), new.with_absolute_paths()
    if new.num_classes == -1:  # The data's own number, not known yet.
        new = dataclasses.replace(new, num_classes=old.num_classes)
    return [
        f"{field.name}={getattr(old, field.name)} -> {getattr(new, field.name)}"
        for field in dataclasses.fields(Config)
        if not field.metadata["resumable"] and getattr(old, field.name) != getattr(new, field.name)
    ]
