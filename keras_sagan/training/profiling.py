"""Where the time of some steps goes, as a profile for TensorBoard."""

import math

import tensorflow as tf


class Profile:
    """Records the steps of `config.profile_steps`; told of every step where a call may end.

    Args:
        config: `Config`.
        folder: path, for TensorBoard. None: nothing is recorded, but calls end at the same steps.
        step: int, steps done before the first call.
    """

    def __init__(self, config, folder, step):
        self.folder, self.active = folder, False
        first, last = config.profile_range or (0, 0)
        self.bounds = (max(first, step), last)

    def steps_ahead(self, step):
        """How many steps can go into one call: up to the next bound, infinite after the last."""
        return min((bound - step for bound in self.bounds if bound > step), default=math.inf)

    def at(self, step):
        """Begins or ends the recording if `step`, the steps done so far, is a bound."""
        first, last = self.bounds
        if self.active and step >= last:
            tf.profiler.experimental.stop()
            self.active = False
        elif first == step < last and self.folder:
            tf.profiler.experimental.start(str(self.folder))
            self.active = True

    def close(self):
        """Keeps what was recorded of a run that ends before its last step."""
        if self.active:
            tf.profiler.experimental.stop()
            self.active = False
