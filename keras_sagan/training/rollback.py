"""What follows when the numbers of a run are not finite: it ends, or goes on from before that.

Going back leaves the run as a kill would, at its newest checkpoint, but for a line of train.jsonl.
How often it did so is the number of these lines, so that a process which goes on later, or from an
earlier checkpoint, plays the same game.
"""

from keras_sagan.errors import NotFinite
from keras_sagan.runs.checkpoint_files import kept

# Chance makes a number infinite once; what happens a fourth time has a cause.
MOST = 3


def restore(config, state, checkpoints):
    """Brings `state` to the newest checkpoint, with the learning rates of `config`.

    Checkpoints hold the rates that they were trained by.
    """
    step = checkpoints.restore()
    state.g_optimizer.learning_rate = config.g_lr
    state.d_optimizer.learning_rate = config.d_lr
    return step


def go_back(config, state, checkpoints, records, error):
    """Brings a run back to its newest checkpoint, from which the noise will be another one.

    The data stay: step n gets batch n, so that an epoch shows every image once, and the place in
    the data remains a function of the step. Bytes are finite; it is noise that a bad step may owe
    its numbers to, or weights that a few steps with other noise do not come to.

    Raises:
        NotFinite: `error`, if `config.on_nan` says so, or there is no way back.
    """
    if config.on_nan == "stop":
        raise error
    if len(records.rollbacks) == MOST:
        reason = f"the run has gone back {MOST} times"
    elif not checkpoints.cluster.word(bool(kept(checkpoints.directory))):
        reason = "there is no checkpoint to go back to"
    else:
        step = restore(config, state, checkpoints)
        records.rollbacks = [*(each for each in records.rollbacks if each <= step), step]
        records.go_back(step, error, checkpoints.counted)
        for warning in checkpoints.warnings:
            records.progress.say(f"warning: {warning}")
        return
    raise NotFinite(f"{error}; {reason}", error.step, error.name) from error
