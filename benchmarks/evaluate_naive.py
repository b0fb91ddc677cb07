"""Scores a run of `benchmarks.train_naive` as `keras_sagan.evaluate` scores ours.

python -m benchmarks.evaluate_naive --run_dir=runs/naive --checkpoint=all

Scores are appended to the run's metrics.jsonl.
"""

from absl import flags

from keras_sagan import commands, evaluate
from keras_sagan.errors import UsageError


def main():
    if flags.FLAGS.bn != "moving":
        # The other choices call the network in training, which overwrites the scored kernels.
        raise UsageError(f"--bn must be moving for keras_naive. Received: {flags.FLAGS.bn}")
    evaluate.main(load_naive)


def load_naive(config, path, ema):
    """Imports TensorFlow only once the flags are known to be good."""
    from benchmarks.keras_naive.method import load_generator

    return load_generator(config, path, ema)


if __name__ == "__main__":
    commands.run(main, __doc__, evaluate.__name__)
