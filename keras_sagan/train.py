"""Trains a GAN, or goes on with a run that was stopped.

python -m keras_sagan.train --flagfile=keras_sagan/configs/sagan_digits.flags --run_dir=runs/digits
python -m keras_sagan.train --check --run_dir=runs/digits
"""

from absl import flags

from keras_sagan import commands
from keras_sagan.training.run_directory import RunDirectory

flags.DEFINE_string("run_dir", None, "Folder of the run. Required.")
flags.DEFINE_bool(
    "check",
    False,
    "Do not train: verify the run directory and print a digest of all variables of its newest "
    "checkpoint.",
)
commands.define_config_flags()


def main():
    run_dir = commands.require("run_dir")
    if flags.FLAGS.check:
        check(run_dir)
        return
    config = commands.config_from_flags()
    # TensorFlow takes seconds to import: not before the flags are known to be good.
    from keras_sagan.training.run import train

    run = train(config, run_dir)
    step = run.last_row("train.jsonl")["step"]
    print(f"trained to step {step}: checkpoints, samples and records in {run.path}")


def check(run_dir):
    """Reads every checkpoint and restores the newest; prints what they hold, and its digest."""
    run = RunDirectory(run_dir)
    config = run.read_config()
    from keras_sagan.networks.macs import costs
    from keras_sagan.training.state import Checkpoints, State, all_checkpoints, digest

    digests = {path: digest(path) for path in all_checkpoints(run.checkpoints)}
    for path in digests:
        print(f"checkpoint: {path} is complete and finite")
    state = State.create(config)
    step = Checkpoints(run.checkpoints, state, config.keep_checkpoints).restore()
    print(f"step: {step} of {config.total_steps}")
    for network in (state.generator, state.discriminator):
        weights, macs = costs(network).values()
        print(f"{network.name}: {weights:,} parameters, {macs:,} multiply-accumulates an image")
    print(f"digest: {list(digests.values())[-1]}")


if __name__ == "__main__":
    commands.run(main, __doc__)
