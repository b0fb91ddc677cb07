"""Scores a run's images against real ones, or files of features against each other.

python -m keras_sagan.evaluate --run_dir=runs/digits
python -m keras_sagan.evaluate --run_dir=runs/digits --checkpoint=all --num_samples=5000
python -m keras_sagan.evaluate --run_dir=runs/a --extractor=inception:inception-2015-12-05.tgz
python -m keras_sagan.evaluate --real_features=a.npz --fake_features=b.npz --json
"""

import dataclasses
import json

from absl import flags

from keras_sagan import commands
from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.metrics.features import read_features
from keras_sagan.metrics.protocol import PROTOCOLS
from keras_sagan.runs.directory import RunDirectory

flags.DEFINE_string("run_dir", None, "Folder of a run. Required without feature files.")
flags.DEFINE_string("data_dir", None, "Where prepared data are kept. Default: the run's own.")
flags.DEFINE_list(
    "extractor",
    ["classifier"],
    "Networks that make features, with commas between them. classifier: trained on the real images "
    "on first use. inception:PATH: the 2015 Inception network as frozen graph .pb, archive .tgz, "
    "SavedModel folder, Keras model .keras, or TensorFlow Hub URL.",
)
flags.DEFINE_enum(
    "protocol",
    "tfgan",
    list(PROTOCOLS),
    "How images come to the Inception network. tfgan: the released SAGAN evaluation.",
)
flags.DEFINE_integer(
    "num_samples",
    None,
    "Generated images. Default: the protocol's, 50,000, and 10,000 for the classifier.",
    lower_bound=4,
)
flags.DEFINE_string("checkpoint", "newest", "newest, best, all (a curve), or a step.")
flags.DEFINE_bool("ema", True, "Averaged weights; --noema takes those being trained.")
flags.DEFINE_enum(
    "bn",
    "moving",
    ["moving", "batch", "standing"],
    "Statistics of batch normalization: those of training; the batch's own, so that scores depend "
    "on --batch_size; or means over 6,400 images of the weights that are scored.",
)
flags.DEFINE_integer("batch_size", 64, "Images at a time, over all replicas.", lower_bound=1)
flags.DEFINE_enum(
    "strategy",
    "mirrored",
    ["mirrored", "multi_worker"],
    "As for training. Of many processes each makes its share of the images, the chief the scores.",
)
flags.DEFINE_integer("replicas", 0, "Devices, as for training.", lower_bound=0)
flags.DEFINE_integer("seed", 0, "Seed of latents.", lower_bound=0, upper_bound=2**31 - 1)
flags.DEFINE_string("real_statistics", None, "Mean and covariance (.npz) to compare with.")
flags.DEFINE_string("save_statistics", None, "Where to write those of the real images (.npz).")
flags.DEFINE_string("compare", None, "Another run, whose scores stand beside, if comparable.")
flags.DEFINE_string("real_features", None, "File (.npz) with features, and logits and labels.")
flags.DEFINE_string("fake_features", None, "The same of generated images.")
flags.DEFINE_bool("json", False, "Print one JSON object instead of a table.")


def main(load=None):
    """Scores what the flags name; `load`, if given, makes the generators, as `load_generator`."""
    given = flags.FLAGS
    if given.real_features or given.fake_features:
        if not (given.real_features and given.fake_features):
            raise UsageError("--real_features and --fake_features are given together")
        refuse_beside_files()
        score_files(given.real_features, given.fake_features)
        return
    if not given.run_dir:
        raise UsageError("--run_dir is required, or --real_features and --fake_features")
    for name in given.extractor:
        if name != "classifier" and not name.startswith("inception:"):
            raise UsageError(f"--extractor must be classifier or inception:PATH. Received: {name}")
    if not given.extractor or len(set(given.extractor)) < len(given.extractor):
        raise UsageError(
            f"--extractor must name different networks. Received: {','.join(given.extractor)}"
        )
    if given.save_statistics and (given.real_statistics or len(given.extractor) > 1):
        raise UsageError(
            "--save_statistics writes those of one extractor's real images: it goes neither with "
            "--real_statistics nor with several extractors"
        )
    if given.checkpoint not in ("newest", "best", "all") and not given.checkpoint.isdecimal():
        raise UsageError(
            f"--checkpoint must be newest, best, all or a step. Received: {given.checkpoint}"
        )
    if given.compare and given.checkpoint == "all":
        raise UsageError("--compare takes the scores of one checkpoint. Received: --checkpoint=all")
    run = RunDirectory(given.run_dir)
    config = run.read_config()
    if given.data_dir:
        config = dataclasses.replace(config, data_dir=given.data_dir)
    score_run(run, config, load)


def refuse_beside_files():
    """Flags that would change nothing must not look as if they did."""
    names = ("run_dir", "extractor", "num_samples", "checkpoint", "ema", "bn", "real_statistics")
    names += ("save_statistics", "compare", "strategy", "replicas", "batch_size", "seed")
    given = [f"--{name}" for name in names if flags.FLAGS[name].present]
    if given:
        raise UsageError(
            "feature files are scored as they are, by --protocol's splits and kernel alone. "
            f"Received: {', '.join(given)}"
        )


def score_run(run, config, load):
    # TensorFlow takes seconds to import: not before the flags are known to be good.
    import tensorflow as tf

    from keras_sagan.evaluation import report
    from keras_sagan.evaluation.scoring import Settings, evaluate_run
    from keras_sagan.runs.checkpoints import load_generator

    # Features in TensorFloat-32 differ from those of other devices.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    given = flags.FLAGS
    others = report.read_rows(RunDirectory(given.compare)) if given.compare else None
    found = {}
    for extractor in given.extractor:
        settings = Settings(
            extractor=extractor,
            protocol=PROTOCOLS[given.protocol],
            count=given.num_samples,
            batch_size=given.batch_size,
            strategy=given.strategy,
            replicas=given.replicas,
            checkpoint=given.checkpoint,
            ema=given.ema,
            batch_norm=given.bn,
            seed=given.seed,
            real_statistics=given.real_statistics,
            save_statistics=given.save_statistics,
        )
        try:
            scored = evaluate_run(run, config, settings, load or load_generator)
        except (OSError, tf.errors.OpError) as error:
            raise RunError(f"{run.path} cannot be scored: {reason_of(error)}") from error
        for step, rows in scored.items():
            found.setdefault(step, []).extend(rows)
    if found:
        tell(run, found, others)


def tell(run, found, others):
    """Prints what was found, a dict of step to rows, beside the rows `others` if there are any."""
    from keras_sagan.evaluation import report

    beside = None
    if others:
        (rows,) = found.values()  # Of one checkpoint, which `main` has seen to.
        beside = report.matching(rows, others)
    notes = report.notes(row for rows in found.values() for row in rows)
    if flags.FLAGS.json:
        for note in notes:
            report.say(note)
        values = {
            step: {row["metric"]: row["value"] for row in rows} for step, rows in found.items()
        }
        print(json.dumps(values))
        return
    if len(found) > 1:
        print(f"curve of {run.path}\n{report.curve(found)}")
    else:
        ((step, rows),) = found.items()
        print(f"step {step} of {run.path}\n{report.table(rows, beside)}")
    for note in notes:
        print(note)


def score_files(real_path, fake_path):
    arrays = [
        read_features(path, f"--{name}")
        for path, name in ((real_path, "real_features"), (fake_path, "fake_features"))
    ]
    from keras_sagan.evaluation import report
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
    print(report.table(rows))


if __name__ == "__main__":
    commands.run(main, __doc__)
