"""What happens when the numbers of a run are not finite: it ends, or resumes from before that.

A rollback leaves the run as a kill would, at its newest checkpoint, except for a line of
train.jsonl. The number of these lines is how often the run has rolled back, so a process that
resumes later, or from an earlier checkpoint, plays the same game.
"""

from collections.abc import Callable, Sequence

from keras_sagan.errors import NotFinite
from keras_sagan.runs.checkpoint_files import list_checkpoints
from keras_sagan.runs.checkpoints import Checkpoints, Restored
from keras_sagan.runs.directory import RunDirectory

# Chance makes a number infinite once; a fourth time has a cause.
MOST = 3


def recorded_rollbacks(directory: RunDirectory, start: int) -> list[int]:
    """The steps that a run has rolled back to, up to the step at which it resumes."""
    rows = [row["step"] for row in directory.rows("train.jsonl") if "rollback" in row]
    return [step for step in rows if step <= start]


def roll_back(
    checkpoints: Checkpoints, rollbacks: Sequence[int], restore: Callable, error: NotFinite
) -> tuple[Restored, list[int]]:
    """Returns a run to its newest checkpoint, from which its noise will differ.

    The data stay: step n gets batch n, so an epoch shows every image once, and the place in the
    data remains a function of the step. Bytes are finite; what made a number infinite may be the
    noise of one step, or weights that a few steps with other noise do not reach.

    Returns:
        What `restore()` gave, and the steps that the run has rolled back to, with this one.

    Raises:
        NotFinite: `error`, if there is no way back.
    """
    if len(rollbacks) == MOST:
        reason = f"the run has rolled back {MOST} times"
    elif not checkpoints.cluster.broadcast(bool(list_checkpoints(checkpoints.directory))):
        reason = "there is no checkpoint to roll back to"
    else:
        restored = restore()
        return restored, [*(each for each in rollbacks if each <= restored.step), restored.step]
    raise NotFinite(f"{error}; {reason}", error.step, error.name) from error


def record_rollback(directory: RunDirectory, rollbacks, seconds: float, error: NotFinite) -> None:
    """Adds a rollback to train.jsonl, with the time that was lost, in seconds of training."""
    row = {"step": rollbacks[-1], "seconds": seconds, "rollback": len(rollbacks)}
    directory.append("train.jsonl", row | {"bad_step": error.step, "bad": error.name})
