"""What the log records of a state, besides losses and statistics of a step."""

from collections.abc import Callable

from keras_sagan.training.overfitting import OverfittingWatch
from keras_sagan.training.state import State, gamma_variables


class Gauges:
    """Reads a state.

    Args:
        state: to read.
        watch: compares logits of held-out images; None without any.
        say: shows the user a line.
    """

    def __init__(
        self, state: State, watch: OverfittingWatch | None, say: Callable[[str], None]
    ) -> None:
        self.state, self.watch, self.say = state, watch, say

    def __call__(self, step: int) -> dict[str, float]:
        """By name: gammas, what adapts to logits, and the watch's logits; may warn the user."""
        variables = gamma_variables(self.state) | self.state.adaptive
        found = {name: float(variable.numpy()) for name, variable in variables.items()}
        if self.watch:
            logits = self.watch.compare()
            found |= logits.gauges()
            if warning := self.watch.warning(logits, step):
                self.say(warning)
        return found
