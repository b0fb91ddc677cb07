"""What is done between two calls of the runtime, besides records: `training/records.py`."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from keras_sagan.devices.cluster import Cluster
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training import health
from keras_sagan.training.preemption import Preemption
from keras_sagan.training.trainer import Action, Call


@dataclasses.dataclass
class OnChief(Action):
    """An action of the chief that all processes wait for, and fail with."""

    cluster: Cluster
    every: int
    check: Callable[[], None]  # Raises `NotFinite` if a weight is not; called before the action.
    action: Action | None  # What the chief does; None on other workers.

    def act(self, call: Call) -> None:
        if self.is_due(call):
            self.cluster.run_on_chief(lambda: self.check_and_act(call))

    def check_and_act(self, call: Call) -> None:
        self.check()
        if self.action:
            self.action.act(call)


class CheckHealth(Action):
    """Raises `NotFinite` after a call with numbers that are not finite."""

    def act(self, call: Call) -> None:
        if call.bad_steps is not None:
            health.check_finite(call.numbers, call.bad_steps, call.step)


@dataclasses.dataclass
class EndTraining(Action):
    """Ends training at its last step, or when the chief has trained for its minutes."""

    total_steps: int  # The last step.
    total_minutes: float  # Longest training; 0: no limit.
    seconds: float  # Trained so far, also by earlier processes.
    cluster: Cluster
    every: int = 0

    def next_step(self, step: int) -> float:
        return self.total_steps

    def is_over(self, step: int) -> bool:
        """Whether training ends at `step`; the same answer in all processes."""
        late = 0 < self.total_minutes * 60 <= self.seconds
        return step == self.total_steps or any(
            self.cluster.any_process([self.cluster.is_chief and late])
        )

    def act(self, call: Call) -> None:
        self.seconds += call.seconds
        call.is_last = self.is_over(call.step)


@dataclasses.dataclass
class StopOnSignal(Action):
    """Ends training after a signal to any process."""

    preemption: Preemption
    every: int = 0

    def act(self, call: Call) -> None:
        if not call.is_last:
            call.signal = self.preemption.received_signal()


@dataclasses.dataclass
class SaveCheckpoint(Action):
    """Writes checkpoints, and the record of a signal that ends the process."""

    save: Callable  # As `Checkpoints.save`: of a partial record and a temporary step.
    partial_record: Callable[[], dict]  # Gives what the next record has so far.
    directory: RunDirectory
    # Of a checkpoint that a signal left between the steps of the others, or None.
    temporary_step: int | None = None
    every: int = 0

    def act(self, call: Call) -> None:
        if call.signal:  # First: without its checkpoint it is ignored, but not the other way round.
            self.directory.write_stop(call.step, call.signal)
        self.save(self.partial_record(), self.temporary_step)
        self.temporary_step = None
        if not call.signal:
            self.directory.remove_stop()


class Profile(Action):
    """Records a profile of some steps for TensorBoard.

    Args:
        steps: the step before which it begins and the one after which it ends, or None.
        folder: for TensorBoard. None: nothing is recorded, but calls end at the same steps.
    """

    def __init__(self, steps: tuple[int, int] | None, folder: Path | None) -> None:
        super().__init__()
        self.first, self.last = steps or (0, 0)
        self.folder, self.active = folder, False

    def next_step(self, step: int) -> float:
        ahead = (bound for bound in (self.first, self.last) if bound > step)
        return min(ahead, default=super().next_step(step))

    def begin(self, step: int) -> None:
        self.first = max(self.first, step)
        self.stand_at(step)

    def act(self, call: Call) -> None:
        self.stand_at(call.step)

    def stand_at(self, step: int) -> None:
        """Begins or ends the recording if `step`, the steps done so far, is a bound."""
        if self.active and step >= self.last:
            self.close()
        elif self.first == step < self.last and self.folder:
            tf.profiler.experimental.start(str(self.folder))
            self.active = True

    def close(self) -> None:
        """Keeps what was recorded of a run that ends before its last step."""
        if self.active:
            tf.profiler.experimental.stop()
            self.active = False
