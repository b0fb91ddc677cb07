"""Scores a run's images against real images, or compares two files of features.

python -m keras_sagan.evaluate --run_dir=runs/digits
python -m keras_sagan.evaluate --run_dir=runs/digits --checkpoint=all --num_samples=5000
python -m keras_sagan.evaluate --run_dir=runs/digits --checkpoint=500,1000,best
python -m keras_sagan.evaluate --run_dir=runs/a --extractor=inception:inception-2015-12-05.tgz
python -m keras_sagan.evaluate --real_features=a.npz --fake_features=b.npz --json
"""

import dataclasses
import json
import sys
from collections.abc import Callable

from absl import flags

from keras_sagan import commands
from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.metrics.features import read_features
from keras_sagan.metrics.protocol import PROTOCOLS
from keras_sagan.progress import say_line
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.values import CheckpointChoice, ExtractorChoice

flags.DEFINE_string("run_dir", None, "Folder of a run. Required unless feature files are given.")
flags.DEFINE_string("data_dir", None, "Folder of prepared data. Default: the run's own.")
flags.DEFINE_list(
    "extractor",
    ["auto"],
    "Networks that extract features, comma-separated. classifier: trained on the classes of the "
    "real images on first use. rotation: trained, likewise, to tell how they were rotated, which "
    "needs no classes. auto: classifier for data of at least two classes, otherwise rotation. "
    "inception:PATH: the 2015 Inception network as a frozen graph .pb, archive .tgz, "
    "SavedModel folder, Keras model .keras, or TensorFlow Hub URL.",
)
flags.DEFINE_enum(
    "protocol",
    "tfgan",
    list(PROTOCOLS),
    "How images are prepared for the Inception network. tfgan: the released SAGAN evaluation.",
)
flags.DEFINE_integer(
    "num_samples",
    None,
    "Number of generated images. Default: the protocol's, 50,000; for classifier and rotation, "
    "10,000.",
    lower_bound=4,
)
flags.DEFINE_string(
    "checkpoint",
    "newest",
    "newest, best, all, a step, or several of these, comma-separated. Several print a curve.",
)
flags.DEFINE_bool("ema", True, "Averaged weights; --noema takes the weights being trained.")
flags.DEFINE_enum(
    "bn",
    "moving",
    ["moving", "batch", "standing"],
    "Statistics of batch normalization. moving: from training. batch: from each batch, so "
    "scores depend on --batch_size. standing: means over 6,400 images with the scored weights.",
)
flags.DEFINE_integer("batch_size", 64, "Images per batch, over all replicas.", lower_bound=1)
flags.DEFINE_enum(
    "strategy",
    "mirrored",
    ["mirrored", "multi_worker"],
    "As for training. Each process generates its share of the images.",
)
flags.DEFINE_integer("replicas", 0, "Devices, as for training.", lower_bound=0)
flags.DEFINE_integer("seed", 0, "Seed of latents.", lower_bound=0, upper_bound=2**31 - 1)
flags.DEFINE_string("real_statistics", None, "Mean and covariance (.npz) to compare with.")
flags.DEFINE_string("save_statistics", None, "File (.npz) for the statistics of the real images.")
flags.DEFINE_string("compare", None, "Another run whose comparable scores are also shown.")
flags.DEFINE_string("real_features", None, "Features (.npz), optionally with logits and labels.")
flags.DEFINE_string("fake_features", None, "The same for generated images.")
flags.DEFINE_bool("json", False, "Print one JSON object instead of a table.")


def main(load: Callable | None = None) -> None:
    """Scores what the flags name; `load`, if given, replaces `load_generator`."""
    given = flags.FLAGS
    if given.real_features or given.fake_features:
        if not (given.real_features and given.fake_features):
            raise UsageError("--real_features and --fake_features must be given together")
        refuse_run_flags()
        score_files(given.real_features, given.fake_features)
        return
    if not given.run_dir:
        raise UsageError("--run_dir is required, or --real_features and --fake_features")
    extractors = tuple(map(ExtractorChoice.parse, given.extractor))
    if not extractors or len(set(extractors)) < len(extractors):
        raise UsageError(
            f"--extractor must name different networks. Received: {','.join(given.extractor)}"
        )
    if given.save_statistics and (given.real_statistics or len(extractors) > 1):
        raise UsageError(
            "--save_statistics writes the statistics of one extractor. It cannot be combined with "
            "--real_statistics or several extractors"
        )
    checkpoint = CheckpointChoice.parse(given.checkpoint)
    if given.compare and not checkpoint.is_one:
        raise UsageError(
            f"--compare needs a single checkpoint. Received: --checkpoint={checkpoint}"
        )
    score_run(RunDirectory(given.run_dir), extractors, checkpoint, load)


def refuse_run_flags() -> None:
    """Refuses flags that feature files ignore, so that nobody expects an effect."""
    names = ("run_dir", "extractor", "num_samples", "checkpoint", "ema", "bn", "real_statistics")
    names += ("save_statistics", "compare", "strategy", "replicas", "batch_size", "seed")
    given = [f"--{name}" for name in names if flags.FLAGS[name].present]
    if given:
        raise UsageError(
            "feature files are scored as they are; only --protocol applies, for splits and kernel. "
            f"Received: {', '.join(given)}"
        )


def score_run(run, extractors, checkpoint, load) -> None:
    given, config = flags.FLAGS, run.read_config()
    if given.data_dir:
        config = dataclasses.replace(config, data_dir=given.data_dir)
    # TensorFlow takes seconds to import, so flags are checked first.
    import tensorflow as tf

    from keras_sagan.evaluation.score_rows import read_scores
    from keras_sagan.evaluation.scorer import Settings
    from keras_sagan.evaluation.scoring import evaluate_run
    from keras_sagan.runs.checkpoints import load_generator

    # In TensorFloat-32, features would differ between devices.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    others = read_scores(RunDirectory(given.compare)) if given.compare else None
    settings = Settings(
        extractors=extractors,
        protocol=PROTOCOLS[given.protocol],
        count=given.num_samples,
        batch_size=given.batch_size,
        strategy=given.strategy,
        replicas=given.replicas,
        checkpoint=checkpoint,
        ema=given.ema,
        batch_norm=given.bn,
        seed=given.seed,
        real_statistics=given.real_statistics,
        save_statistics=given.save_statistics,
    )
    try:
        found = evaluate_run(run, config, settings, load or load_generator)
    except (OSError, tf.errors.OpError) as error:
        raise RunError(f"{run.path} cannot be scored: {reason_of(error)}") from error
    if found.scores:
        print_scores(run, found.scores, others)
    if found.unrecorded:
        steps, reason = ", ".join(map(str, found.unrecorded)), next(iter(found.unrecorded.values()))
        say_line(f"warning: scores of step {steps} of {run.path} are not recorded: {reason}")
    if found.unrecorded or not found.is_complete:
        sys.exit(1)


def print_scores(run: RunDirectory, found: dict[int, list], others: list | None) -> None:
    """Prints scores, rows by step, beside the rows `others` if there are any."""
    from keras_sagan.evaluation import score_rows

    beside = None
    if others:
        (rows,) = found.values()  # `main` has checked that there is only one.
        beside = score_rows.match_rows(rows, others)
    notes = score_rows.describe_extractors(row for rows in found.values() for row in rows)
    if flags.FLAGS.json:
        for note in notes:
            say_line(note)
        values = {at: {row["metric"]: row["value"] for row in rows} for at, rows in found.items()}
        print(json.dumps(values))
        return
    if len(found) > 1:
        print(f"curve of {run.path}\n{score_rows.format_curve(found)}")
    else:
        ((step, rows),) = found.items()
        print(f"step {step} of {run.path}\n{score_rows.format_table(rows, beside)}")
    for note in notes:
        print(note)


def score_files(real_path: str, fake_path: str) -> None:
    paths = {"--real_features": real_path, "--fake_features": fake_path}
    arrays = [read_features(path, source) for source, path in paths.items()]
    from keras_sagan.evaluation.score_rows import format_table
    from keras_sagan.evaluation.scores import INCEPTION, FeatureSet, all_scores

    real, fake = (
        FeatureSet(part["features"], part.get("logits"), part.get("labels")) for part in arrays
    )
    protocol = PROTOCOLS[flags.FLAGS.protocol]
    scores = all_scores(real, fake, protocol, INCEPTION, accuracy=False)
    if flags.FLAGS.json:
        values = {name: score["value"] for name, score in scores.items()}
        print(json.dumps({"is": None, **values, "details": scores}))
        return
    rows = [{"metric": f"{name} ({score['n_fake']})", **score} for name, score in scores.items()]
    print(format_table(rows))


if __name__ == "__main__":
    commands.run(main, __doc__)
