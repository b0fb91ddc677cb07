"""What the chief's `Records` are in the other processes of a run."""

import math
import sys


class Follower:
    """Writes no records, and knows neither time nor scores: the chief tells what follows of them.

    Args:
        rollbacks: list of int, those of the chief's `Records`.

    Attributes:
        progress: what tells the user a line: this.
        tensorboard: None.
    """

    def __init__(self, rollbacks):
        self.rollbacks, self.progress, self.tensorboard = rollbacks, self, None

    def say(self, line):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def go_back(self, step, error, counted):
        pass

    def count(self, step, num_steps, numbers, seconds):
        pass

    def is_out_of_time(self):
        return False

    def write_samples(self, step):
        pass

    def best(self):
        return math.inf

    def score(self, step):
        return math.inf  # Not less than the best.

    def close(self):
        pass
