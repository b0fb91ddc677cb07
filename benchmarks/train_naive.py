"""Trains `keras_naive` into a run directory as `keras_sagan.train` makes it.

python -m benchmarks.train_naive --run_dir=runs/naive --batch_size=64 --total_steps=1000

Started again, it resumes from the newest checkpoint, but not bit for bit: this baseline does not
promise that. The losses in a record are means over the last steps of each call of the runtime,
because that is what `fit` reports. There is no best checkpoint. Other differences from our training
are listed in `benchmarks/keras_naive/model.py`. `benchmarks.evaluate_naive` scores a run.
"""

import dataclasses

from absl import flags

from keras_sagan import commands
from keras_sagan.errors import UsageError

# For options that the model of stock parts restricts: the values it supports.
SUPPORTED = {
    "model": ("sagan",),
    "attention_block": ("attention",),
    "g_spectral_norm": (True,),
    "d_spectral_norm": (True,),
    "sync_batch_norm": (False,),
    "flip": (False,),
    "fake_labels": ("uniform",),
    "holdout": (0.0,),
    "augment": ("none",),
    "lecam": (0.0,),
    "r1": (0.0,),
    "loss": ("hinge",),
    "accumulate": (1,),
    "d_steps": (1,),
    "reuse_fakes": (False,),
    "lr_decay": ("none",),
    "strategy": ("mirrored",),
    "replicas": (0, 1),
    "eval_every": (0,),
    "on_nan": ("stop",),
    "profile_steps": ("",),
    "init_from": ("",),
    "freeze_d": (0,),
}

flags.DEFINE_string("run_dir", None, "Folder of the run. Required.")
commands.define_config_flags()


def main():
    run_dir = commands.require("run_dir")
    config = commands.config_from_flags()
    check_supported(dataclasses.asdict(config))
    # TensorFlow takes seconds to import, so the flags are checked first.
    from benchmarks.keras_naive.method import NAIVE
    from keras_sagan.training.run import describe_ending, train

    print(describe_ending(train(dataclasses.replace(config, replicas=1), run_dir, NAIVE)))


def check_supported(options):
    """Raises a `UsageError` unless the model of stock parts supports `options`, a dict."""
    wrong = [name for name, values in SUPPORTED.items() if options[name] not in values]
    if wrong:
        needed = ", ".join(f"{name}={SUPPORTED[name][-1]}" for name in wrong)
        received = ", ".join(f"{name}={options[name]}" for name in wrong)
        raise UsageError(f"keras_naive supports only {needed}. Received: {received}")


if __name__ == "__main__":
    commands.run(main, __doc__)
