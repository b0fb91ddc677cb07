"""Reads the checkpoints that a user chooses, past damaged ones and while training replaces them."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError
from keras_sagan.progress import say_line
from keras_sagan.runs.checkpoint_files import list_checkpoints, newest_checkpoint, step_of
from keras_sagan.runs.checkpoints import Reading, choose_checkpoints, read_newest
from keras_sagan.values import CheckpointChoice


class CheckpointReader:
    """Reads chosen checkpoints of a run. Every command chooses them here.

    The newest checkpoint is the newest that can be read. The best one and explicit steps must be
    readable. If training removes a checkpoint while it is read, the choice is made again.

    Args:
        directory: the run's `checkpoints` folder.
        read: function of a path that raises `RunError`, in every process alike, if the checkpoint
            cannot be read.
        cluster: the processes that read together; the chief chooses. None: this process alone.

    Attributes:
        damaged: paths of the checkpoints that `read_each` has left out because they are damaged.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        read: Callable[[str], Any],
        cluster: Cluster | None = None,
    ) -> None:
        self.directory, self.read, self.cluster = directory, read, cluster
        self.damaged: list[str] = []

    def find_one(self, choice: CheckpointChoice) -> Reading:
        """Reads the checkpoint that `choice` names, without a word about damaged newer ones.

        Raises:
            UsageError: if there is no checkpoint of that step.
            RunError: if there is no checkpoint, or it cannot be read.
        """
        if choice.parts == ("newest",):
            return read_newest(self.list_regular, self.read)
        failed = None
        while True:
            (path,) = self.choose(choice)
            try:
                return Reading(path, self.read(path))
            except RunError:
                if path == failed:
                    raise
                failed = path

    def read_one(self, choice: CheckpointChoice) -> Reading:
        """Does what `find_one` does, and warns of each damaged newer checkpoint."""
        reading = self.find_one(choice)
        for failure in reading.failures:
            self.say(f"warning: {failure}; using {reading.path}")
        return reading

    def read_each(self, choice: CheckpointChoice) -> Iterator[Reading]:
        """Yields the checkpoints that `choice` names, each once, in the order of their steps.

        `all` leaves out checkpoints that are damaged, with a warning, and those that training has
        removed meanwhile, with a note.

        Raises:
            UsageError: if there is no checkpoint of a step that `choice` names.
            RunError: if there is no checkpoint, or a chosen one cannot be read.
        """
        if "all" in choice.parts:
            yield from self.read_all(choice)
            return
        singles = [CheckpointChoice((part,)) for part in choice.parts]
        seen = set()
        for single in sorted(singles, key=lambda single: step_of(self.choose(single)[0])):
            reading = self.read_one(single)
            if step_of(reading.path) not in seen:
                seen.add(step_of(reading.path))
                yield reading

    def read_all(self, choice: CheckpointChoice) -> Iterator[Reading]:
        """Does what `read_each` does, for a choice that includes `all`."""
        found = 0
        for path in self.choose(choice):
            try:
                reading = Reading(path, self.read(path))
            except RunError as error:
                if step_of(path) in choice.parts:
                    raise
                self.leave_out(path, error)
            else:
                found += 1
                yield reading
        if not found and not self.damaged:  # Training has removed all that was chosen.
            yield from self.read_all(choice)
        elif not found:
            raise RunError(f"expected a readable checkpoint. Received: none in {self.directory}")

    def leave_out(self, path: str, error: RunError) -> None:
        """Says why one of all checkpoints is left out."""
        if path in self.look(lambda: list_checkpoints(pathlib.Path(path).parent)):
            self.damaged.append(path)
            self.say(f"warning: {error}; leaving it out")
        else:
            self.say(f"note: training has removed step {step_of(path)} meanwhile; leaving it out")

    def list_regular(self) -> list[str]:
        """Paths of all checkpoints but the best, from old to new; `RunError` if there is none."""

        def list_paths():
            newest_checkpoint(self.directory)
            return list_checkpoints(self.directory)

        return self.look(list_paths)

    def choose(self, choice: CheckpointChoice) -> list[str]:
        """The paths of `choose_checkpoints`, in every process."""
        return self.look(lambda: choose_checkpoints(self.directory, choice))

    def look(self, function: Callable[[], list[str]]) -> list[str]:
        """What `function` finds in the folder, in every process."""
        return self.cluster.decide(function) if self.cluster else function()

    def say(self, line: str) -> None:
        if not self.cluster or self.cluster.is_chief:
            say_line(line)
