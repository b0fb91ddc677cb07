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
    print(f"trained to step {config.total_steps}: checkpoints, samples and records in {run.path}")


def check(run_dir):
    """Reads every checkpoint; prints their steps and the digest of the newest."""
    run = RunDirectory(run_dir)
    config = run.read_config()
    from keras_sagan.training.state import all_checkpoints, digest

    print(f"config: {config.model} at {config.image_size} pixels, dataset {config.dataset}")
    digests = {path: digest(path) for path in all_checkpoints(run.checkpoints)}
    for path in digests:
        print(f"checkpoint: {path} is complete and finite")
    print(f"digest: {digests[path]}")


if __name__ == "__main__":
    commands.run(main, __doc__)
