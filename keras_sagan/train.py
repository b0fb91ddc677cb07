"""Trains a GAN, or resumes a run that was stopped.

python -m keras_sagan.train --recipe=sagan_digits --run_dir=runs/digits
python -m keras_sagan.train --check --run_dir=runs/digits
"""

import dataclasses

from absl import flags

from keras_sagan import commands
from keras_sagan.errors import RunError, UsageError
from keras_sagan.runs.directory import CHANGEABLE, RunDirectory

# Fields of `Config` that describe the machine, not the run.
WHERE = ("strategy", "replicas", "join_seconds")

flags.DEFINE_string("run_dir", None, "Folder of the run. Required.")
flags.DEFINE_bool(
    "check",
    False,
    "Do not train: verify the run directory and print a digest of all variables of its newest "
    "checkpoint.",
)
flags.DEFINE_list(
    "allow_config_change",
    [],
    "Fields that may change when the run resumes, from among "
    f"{','.join(CHANGEABLE)}. The change is recorded in environment.json.",
)
commands.define_config_flags()


def main():
    run_dir = commands.require("run_dir")
    if flags.FLAGS.check:
        check(run_dir)
        return
    allowed = flags.FLAGS.allow_config_change
    run = RunDirectory(run_dir)
    base = None
    if (run.path / "config.json").exists():
        # What is not given is as it was, except for where the run is trained.
        here = {name: commands.CONFIG_FIELDS[name].default for name in WHERE}
        base = dataclasses.replace(run.read_config(), **here)
    config = commands.config_from_flags(base=base)
    if not set(allowed) <= set(CHANGEABLE):
        raise UsageError(
            f"--allow_config_change must be of {', '.join(CHANGEABLE)}. "
            f"Received: {','.join(allowed)}"
        )
    # TensorFlow takes seconds to import, so flags are checked first.
    from keras_sagan.training.run import describe_ending, train

    print(describe_ending(train(config, run_dir, allowed=allowed)))


def check(run_dir):
    """Reads every checkpoint, restores the newest, and prints their state and its digest.

    Raises:
        RunError: if one of them is bad.
    """
    run = RunDirectory(run_dir)
    config = run.read_config()
    from keras_sagan.networks.macs import costs
    from keras_sagan.runs.checkpoints import Checkpoints, all_checkpoints, digest
    from keras_sagan.training.state import State

    bad, newest = [], None
    for path in all_checkpoints(run.checkpoints):
        try:
            newest = digest(path)
            print(f"checkpoint: {path} is complete and finite")
        except RunError as error:
            bad.append(error)
            print(f"checkpoint: {path} is bad")
    if bad:
        raise RunError("; ".join(map(str, bad)))
    state = State.create(config)
    step = Checkpoints(run.checkpoints, state, config.keep_checkpoints).restore().step
    print(f"step: {step} of {config.total_steps}")
    for network in (state.generator, state.discriminator):
        weights, macs = costs(network).values()
        print(f"{network.name}: {weights:,} parameters, {macs:,} multiply-accumulates an image")
    print(f"digest: {newest}")


if __name__ == "__main__":
    commands.run(main, __doc__)
