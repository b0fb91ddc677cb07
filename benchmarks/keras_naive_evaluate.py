"""Scores a run of `keras_naive_run` as `keras_sagan.evaluate` scores ours, into metrics.jsonl.

python -m benchmarks.keras_naive_evaluate --run_dir=runs/naive --checkpoint=all
"""

from absl import flags

from keras_sagan import commands, evaluate
from keras_sagan.errors import UsageError


def main():
    if flags.FLAGS.bn != "moving":
        # A call in training, which others need, would overwrite the kernels that are scored.
        raise UsageError(f"--bn must be moving for keras_naive. Received: {flags.FLAGS.bn}")
    evaluate.main(load)


def load(config, path, ema):
    from benchmarks.keras_naive_fit import load_generator

    return load_generator(config, path, ema)


if __name__ == "__main__":
    commands.run(main, __doc__, evaluate.__name__)
