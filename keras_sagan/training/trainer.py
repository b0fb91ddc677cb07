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
    num_steps: int  # Of this call.
    # Means of its losses and, where they are known, statistics of its last step.
    numbers: dict[str, float]
    # Of each loss, the first step at which it was not finite; None if not known.
    bad_steps: Sequence[int] | None
    seconds: float  # That it took.
    is_last: bool = False  # Whether training ends here as planned.
    signal: str | None = None  # Name of the signal that ends it here, or None.

    @property
    def ends_run(self) -> bool:
        return self.is_last or self.signal is not None


class Action:
    """What is done between calls of the runtime.

    By itself it does nothing: on workers other than the chief it keeps the place of an action that
    writes, so that all processes make the same calls. `every` is the steps between two times that
    it acts; with 0 it never asks for a call to end.
    """

    def __init__(self, every: int = 0) -> None:
        self.every = every

    def next_step(self, step: int) -> float:
        """The first step after `step` at which it must stand between two calls."""
        return step + self.every - step % self.every if self.every else math.inf

    def is_due(self, call: Call) -> bool:
        """Whether it acts here: at multiples of `every`, and at the end of training."""
        return call.is_last or (self.every > 0 and call.step % self.every == 0)

    def begin(self, step: int) -> None:
        """Before the first call, of a training that starts at `step`."""

    def act(self, call: Call) -> None:
        """After each call."""

    def close(self) -> None:
        """After the last call, also when it failed."""


@dataclasses.dataclass
class Trainer:
    """Calls of the runtime until an action ends the run."""

    # Function of a number of steps, which it does, to the numbers and `bad_steps` of `Call`.
    train_call: Callable[[int], tuple[dict[str, float], Sequence[int] | None]]
    actions: Sequence[Action]  # In the order in which they act.
    steps_per_call: int  # Most steps in one call.

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
