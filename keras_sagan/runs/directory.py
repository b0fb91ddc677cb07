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

from keras_sagan.config import Config
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import locked, write_atomically
from keras_sagan.runs.provenance import PACKAGES, commit, machine, version

# Fields that change the numbers of a run, and that it can go on with all the same if asked to.
CHANGEABLE = ("g_lr", "d_lr", "beta_1", "beta_2", "ema_decay")
# Bytes, more than a JSON line has.
LINE = 2**16


class RunDirectory:
    """Paths and records of a run.

    Args:
        path: the folder. Made by `lock` or `write_config`, not before.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.samples = self.path / "samples"

    @contextlib.contextmanager
    def lock(self):
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
                for left_over in self.path.glob("*.tmp"):  # Of a kill.
                    left_over.unlink()
            except BlockingIOError as error:
                raise RunError(
                    f"run_dir={self.path} is in use by another trainer: {error}"
                ) from error
            except OSError as error:
                raise RunError(f"run_dir={self.path} cannot be written: {error}") from error
            yield

    def read_config(self):
        """The run's `Config`.

        Raises:
            UsageError: if there is none, or it is not of this version.
        """
        path = self.path / "config.json"
        try:
            return Config.from_json(path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"expected a run directory with config.json. Received: run_dir={self.path}"
            ) from error
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error

    def check_config(self, config, allowed=()):
        """Whether a run of `config` may start or go on here.

        Args:
            config: `Config`.
            allowed: names of fields that may differ.

        Returns:
            Those that do, a list of `name=old -> new`.

        Raises:
            UsageError: if the folder's run has other values in fields that may not change.
        """
        if not (self.path / "config.json").exists():
            return []
        differing = differences(self.read_config(), config)
        changes = [each for each in differing if each.partition("=")[0] in allowed]
        if differing != changes:
            raise UsageError(
                f"run_dir={self.path} holds a run with another configuration: "
                f"{'; '.join(each for each in differing if each not in changes)}. Use another "
                "run_dir, or the run's own values"
            )
        return changes

    def write_config(self, config):
        """Claims the folder for `config`."""
        write_atomically(self.path / "config.json", config.to_json())

    def check_data(self, record):
        """Whether prepared data of `record` are those that the run began with.

        Raises:
            UsageError: if their contents differ.
        """
        began = self.read_environment().get("data")
        began_with = began.get("sha256") if isinstance(began, dict) else None
        if began_with not in (None, record["sha256"]):
            raise UsageError(
                f"run_dir={self.path} began with other images than {record['dataset']} has now: "
                f"use another run_dir. Received: content hash {record['sha256'][:12]}, not "
                f"{began_with[:12]}"
            )

    def read_environment(self):
        """The record of the newest start; empty before the first.

        Raises:
            RunError: if it is broken: what the run began with is not known then.
        """
        path = self.path / "environment.json"
        try:
            environment = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            environment = error
        if not isinstance(environment, dict):
            raise RunError(
                f"expected the JSON object of a run's starts in {path}; remove it to go on without "
                f"knowing them. Received: {environment}"
            )
        return environment

    def write_environment(self, step, devices, facts):
        """Records what this start of the run, at `step`, depends on besides its configuration.

        Earlier starts stay in the record, under `earlier`.

        Args:
            step: int.
            devices: names, a list.
            facts: dict of what else belongs there: `data`, the `summary` of the prepared set;
                `device`; `networks`, their costs; `processes`, a number.

        Returns:
            The devices of the start before, or None.
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

    def write_stop(self, step, signal):
        """Leaves word that a signal ended the run at a step, for the start that follows."""
        text = json.dumps({"step": step, "signal": signal}) + "\n"
        write_atomically(self.path / "stop.json", text)

    def read_stop(self, step=None):
        """What `write_stop` left, of `step` if that is given; None if there is nothing."""
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            stop = json.loads((self.path / "stop.json").read_text())
            return stop if step in (stop["step"], None) and stop["signal"] else None
        return None

    def forget_stop(self):
        (self.path / "stop.json").unlink(missing_ok=True)

    def append(self, name, *rows):
        """Adds `rows`, dicts, to the JSON lines of file `name`: in one piece.

        A last line that a kill or a full disk has cut off goes: it would spoil the one after it.
        """
        with (self.path / name).open("ab+") as file:
            begin = max(file.seek(0, os.SEEK_END) - LINE, 0)
            file.seek(begin)
            file.truncate(begin + file.read().rfind(b"\n") + 1)
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode())

    def rows(self, name):
        """The JSON lines of file `name`, without broken ones; none without a file."""
        path = self.path / name
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if step_in(line) is not None]

    def last_row(self, name):
        """The last JSON line of file `name`; empty without one."""
        path = self.path / name
        if not path.exists():
            return {}
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - LINE, 0))
            lines = file.read().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def forget_after(self, name, step):
        """Drops the lines of file `name` that a run resumed at `step` will write again.

        Returns:
            What else had to go, in words; None if nothing. Of the last line nothing is said: a kill
            may have cut it off.
        """
        path = self.path / name
        if not path.exists():
            return None
        lines = [(line, step_in(line)) for line in path.read_bytes().splitlines()]
        kept = [line.decode() for line, of in lines if of is not None and of <= step]
        write_atomically(path, "".join(line + "\n" for line in kept))
        broken = sum(of is None for _, of in lines[:-1])
        return f"{path}: {broken} broken lines are left out" if broken else None


def step_in(line):
    """The step of a JSON line, bytes; None if it is broken."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        line.decode()
        return operator.index(json.loads(line)["step"])
    return None


def differences(old, new):
    """Fields in which a run cannot go on, each as `name=old -> new`."""
    if new.num_classes == -1:  # As many as the data have: not known yet.
        new = dataclasses.replace(new, num_classes=old.num_classes)
    return [
        f"{field.name}={getattr(old, field.name)} -> {getattr(new, field.name)}"
        for field in dataclasses.fields(Config)
        if not field.metadata["resumable"] and getattr(old, field.name) != getattr(new, field.name)
    ]
