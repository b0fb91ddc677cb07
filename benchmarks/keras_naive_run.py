"""Trains `keras_naive` by `fit` into a run directory like those of `keras_sagan.train`.

python -m benchmarks.keras_naive_run --run_dir=runs/naive --batch_size=64 --total_steps=1000

Started again, it goes on from the newest checkpoint, but not bit for bit: that is not promised of
this baseline. The losses of a record are means over the last steps of the calls of the runtime,
since that is what `fit` tells. No checkpoint is kept as the best. What else differs from our
training is listed in `benchmarks/keras_naive.py`; `benchmarks.keras_naive_evaluate` scores a run.
"""

import dataclasses

from absl import flags

from keras_sagan import commands
from keras_sagan.errors import UsageError

# All values that the model of stock parts can do, for options that have others.
POSSIBLE = {
    "model": ("sagan",),
    "attention_block": ("attention",),
    "g_spectral_norm": (True,),
    "d_spectral_norm": (True,),
    "sync_batch_norm": (False,),
    "flip": (False,),
    "fake_labels": ("uniform",),
    "loss": ("hinge",),
    "d_steps": (1,),
    "strategy": ("mirrored",),
    "replicas": (0, 1),
    "eval_every": (0,),
    "on_nan": ("stop",),
}

flags.DEFINE_string("run_dir", None, "Folder of the run. Required.")
commands.define_config_flags()


def main():
    run_dir = commands.require("run_dir")
    config = commands.config_from_flags()
    check_possible(config)
    # TensorFlow takes seconds to import: not before the flags are known to be good.
    from benchmarks.keras_naive_fit import NaiveState, fit_steps
    from keras_sagan.training.run import ending, train

    run = train(
        dataclasses.replace(config, replicas=1),
        run_dir,
        # Not in the strategy's scope, in which `fit` would train over replicas.
        create=lambda strategy, config: NaiveState.create(config),
        steps=fit_steps,
    )
    print(ending(run))


def check_possible(config):
    """Whether the model of stock parts is what `config` asks for.

    Raises:
        UsageError: if not.
    """
    wrong = [name for name, values in POSSIBLE.items() if getattr(config, name) not in values]
    if wrong:
        needed = ", ".join(f"{name}={POSSIBLE[name][-1]}" for name in wrong)
        received = ", ".join(f"{name}={getattr(config, name)}" for name in wrong)
        raise UsageError(f"keras_naive can only do {needed}. Received: {received}")


if __name__ == "__main__":
    commands.run(main, __doc__)
