"""What happens when numbers of a run are non-finite: it fails, or resumes from before that.

A rollback leaves the run as a kill would, at its newest checkpoint, except for a line in
train.jsonl. The number of these lines is the number of rollbacks, so a process that resumes later,
or from an earlier checkpoint, plays the same game.
"""

from collections.abc import Callable, Sequence

from keras_sagan.errors import NotFinite
from keras_sagan.runs.checkpoint_files import list_checkpoints
from keras_sagan.runs.checkpoints import Checkpoints, Restored
from keras_sagan.runs.directory import RunDirectory

# A number may become infinite by chance; a fourth time has another cause.
MOST = 3


def recorded_rollbacks(directory: RunDirectory, start: int) -> list[int]:
    """The steps that a run has rolled back to, up to the step at which it resumes."""
    rows = [row["step"] for row in directory.rows("train.jsonl") if "rollback" in row]
    return [step for step in rows if step <= start]


def roll_back(
    checkpoints: Checkpoints, rollbacks: Sequence[int], restore: Callable, error: NotFinite
) -> tuple[Restored, list[int]]:
    """Returns a run to its newest checkpoint, from which it continues with other noise.

    The data order stays: step n gets batch n, so an epoch shows every image once, and the position
    in the data remains a function of the step. The data are finite, so the cause may be the noise
    of one step, or weights that a few steps with other noise do not reach.

    Returns:
        The result of `restore()`, and the steps that the run has rolled back to, with this one.

    Raises:
        NotFinite: `error`, if no rollback is possible.
    """
    if len(rollbacks) == MOST:
        reason = f"the run has rolled back {MOST} times"
    elif not checkpoints.cluster.broadcast(bool(list_checkpoints(checkpoints.directory))):
        reason = "there is no checkpoint to roll back to"
    else:
        restored = restore()
        return restored, [*(each for each in rollbacks if each <= restored.step), restored.step]
    raise NotFinite(f"{error}; {reason}", error.step, error.name) from error
