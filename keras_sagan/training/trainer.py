"""The outer loop: calls of the runtime, and actions between them.

Names and shape follow TensorFlow's Orbit (`orbit.Controller`, `train_actions`, `steps_per_loop`).
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Sequence


@dataclasses.dataclass
class Call:
    """One call of the runtime that has ended; actions read it, and may end the run."""

    step: int  # Steps done by now.
    num_steps: int  # Steps in this call.
    # Means of its losses and, if known, statistics of its last step.
    numbers: dict[str, float]
    # For each loss, the first step at which it was non-finite; None if unknown.
    bad_steps: Sequence[int] | None
    seconds: float  # Duration.
    is_last: bool = False  # Whether training ends here as planned.
    signal: str | None = None  # Name of the signal that ends it here, or None.

    @property
    def ends_run(self) -> bool:
        return self.is_last or self.signal is not None


class Action:
    """Something to do between calls of the runtime.

    This base class does nothing. On workers other than the chief, it stands in for an action that
    writes, so that all processes make the same calls. `every` is the number of steps between two
    times that it acts; with 0, it never asks for a call to end.
    """

    def __init__(self, every: int = 0) -> None:
        self.every = every

    def next_step(self, step: int) -> float:
        """The first step after `step` at which a call must end for this action."""
        return step + self.every - step % self.every if self.every else math.inf

    def is_due(self, call: Call) -> bool:
        """Whether it acts here: at multiples of `every`, and where the run ends."""
        return call.ends_run or (self.every > 0 and call.step % self.every == 0)

    def begin(self, step: int) -> None:
        """Runs before the first call; training starts at `step`."""

    def act(self, call: Call) -> None:
        """Runs after each call."""

    def close(self) -> None:
        """Runs after the last call, even if it failed."""


@dataclasses.dataclass
class Trainer:
    """Calls the runtime until an action ends the run."""

    # Performs a number of steps; returns the `numbers` and `bad_steps` of `Call`.
    train_call: Callable[[int], tuple[dict[str, float], Sequence[int] | None]]
    actions: Sequence[Action]  # In the order in which they act.
    steps_per_call: int  # Maximum steps in one call.

    def train(self, step: int) -> None:
        """Trains from `step`, the number of steps done, until an action ends it."""
        with contextlib.ExitStack() as stack:
            for action in self.actions:
                stack.callback(action.close)
                action.begin(step)
            call = None
            while not (call and call.ends_run):
                stop = min(action.next_step(step) for action in self.actions)
                num_steps = int(min(stop - step, self.steps_per_call))
                begun = time.monotonic()
                results = self.train_call(num_steps)
                step += num_steps
                call = Call(step, num_steps, *results, time.monotonic() - begun)
                for action in self.actions:
                    action.act(call)
