"""Scores a run: how many of its images show the class that was asked for.

python -m keras_sagan.evaluate --run_dir=runs/digits
"""

import dataclasses

import numpy as np
from absl import flags

from keras_sagan import commands
from keras_sagan.data.prepare import prepare
from keras_sagan.errors import UsageError
from keras_sagan.metrics.label_accuracy import label_accuracy
from keras_sagan.training.run_directory import RunDirectory, commit

flags.DEFINE_string("run_dir", None, "Folder of a run. Required.")
flags.DEFINE_string("data_dir", None, "Where prepared data are kept. Default: the run's own.")
flags.DEFINE_integer("num_samples", 1000, "Generated images.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the latents.", lower_bound=0, upper_bound=2**31 - 1)


def main():
    run_dir = commands.require("run_dir")
    run = RunDirectory(run_dir)
    config = run.read_config()
    if config.num_classes < 2:
        raise UsageError(f"label accuracy needs classes. Received: {config.num_classes=}")
    if flags.FLAGS.data_dir:
        config = dataclasses.replace(config, data_dir=flags.FLAGS.data_dir)
    # TensorFlow takes seconds to import: not before the flags are known to be good.
    from keras_sagan.training.sampling import latents_of, make_sampler
    from keras_sagan.training.state import restore_generator

    real = prepare(config)
    generator, step = restore_generator(config, run.checkpoints)
    count, seed = flags.FLAGS.num_samples, flags.FLAGS.seed
    labels = np.arange(count, dtype=np.int32) % config.num_classes
    fakes = make_sampler(generator)(latents_of(seed, count, config.z_dim).numpy(), labels)
    accuracy, test_accuracy = label_accuracy(real.images, real.labels, fakes, labels)
    row = {
        "metric": f"label_accuracy{count}/svc",
        "value": accuracy,
        "classifier_test_accuracy": test_accuracy,
        "step": step,
        "weights": "ema",
        "batch_norm": "moving",
        "seed": seed,
        "dataset": real.record,
        "commit": commit(),
    }
    run.append("metrics.jsonl", row)
    print(
        f"{row['metric']}: {accuracy:.1%} of {count} images of step {step} show the class asked "
        f"for, by a classifier with {test_accuracy:.1%} test accuracy on real images"
    )


if __name__ == "__main__":
    commands.run(main, __doc__)
