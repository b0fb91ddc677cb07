"""What the log records of a state, besides losses and statistics of a step."""

from collections.abc import Callable

from keras_sagan.training.overfitting import OverfittingWatch
from keras_sagan.training.state import State, gamma_variables


class Gauges:
    """Reads a state.

    Args:
        state: to read.
        decays: whether its learning rates decay.
        watch: compares logits of held-out images; None without any.
        say: shows the user a line.
    """

    def __init__(
        self,
        state: State,
        decays: bool,
        watch: OverfittingWatch | None,
        say: Callable[[str], None],
    ) -> None:
        self.state, self.decays, self.watch, self.say = state, decays, watch, say

    def __call__(self, step: int) -> dict[str, float]:
        """By name: gammas, what adapts, and the watch's logits; may warn the user."""
        state = self.state
        found = gamma_variables(state) | state.adaptive
        if self.decays:
            found["g_lr"] = state.g_optimizer.current_learning_rate
            found["d_lr"] = state.d_optimizer.current_learning_rate
        found = {name: float(value.numpy()) for name, value in found.items()}
        if self.watch:
            logits = self.watch.compare()
            found |= logits.gauges()
            if warning := self.watch.warning(logits, step):
                self.say(warning)
        return found
