"""Writes a run's generator for TensorFlow Serving, or as a Keras file.

python -m keras_sagan.export --run_dir=runs/digits --export_dir=exports/digits
python -m keras_sagan.export --run_dir=runs/digits --export_dir=exports/digits --checkpoint=best
python -m keras_sagan.export --run_dir=runs/digits --export_dir=exports/digits --format=keras
"""

import pathlib
import re
import sys

from absl import flags

from keras_sagan import commands
from keras_sagan.errors import UsageError
from keras_sagan.runs.directory import RunDirectory

flags.DEFINE_string("run_dir", None, "Folder of a run. Required.")
flags.DEFINE_string(
    "export_dir", None, "Folder of the model's versions, which a server watches. Required."
)
flags.DEFINE_enum(
    "format",
    "saved_model",
    ["saved_model", "keras"],
    "saved_model: EXPORT_DIR/VERSION, for TensorFlow Serving. keras: EXPORT_DIR/VERSION.keras, the "
    "generator alone, for keras.saving.load_model after import keras_sagan.networks.",
)
flags.DEFINE_string("checkpoint", "newest", "newest, best, or a step.")
flags.DEFINE_bool("ema", True, "Averaged weights; --noema takes those being trained.")
flags.DEFINE_integer(
    "version",
    None,
    "Number of the version. Default: the checkpoint's step. Of several a server takes the highest.",
    lower_bound=1,
    upper_bound=2**63 - 1,
)
flags.DEFINE_string("model", "sagan", "Name by which clients know the model.")


def main():
    given = flags.FLAGS
    run_dir, export_dir = commands.require("run_dir"), commands.require("export_dir")
    if given.checkpoint not in ("newest", "best") and not given.checkpoint.isdecimal():
        raise UsageError(
            f"--checkpoint must be newest, best or a step. Received: {given.checkpoint}"
        )
    if not re.fullmatch(r"\w[\w.-]*", given.model, re.ASCII):
        raise UsageError(
            "--model must be letters, digits, dots, hyphens and underscores, the first no dot or "
            f"hyphen. Received: {given.model}"
        )
    run = RunDirectory(run_dir)
    config = run.read_config()
    # TensorFlow takes seconds to import: not before the flags are known to be good.
    import tensorflow as tf

    from keras_sagan.serving.archive import Settings, export_run

    # The GPUs may be those of a training that goes on.
    tf.config.set_visible_devices([], "GPU")
    settings = Settings(
        export_dir=export_dir,
        format=given.format,
        checkpoint=given.checkpoint,
        ema=given.ema,
        version=given.version,
        model=given.model,
    )
    name, step, notes = export_run(run, config, settings)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    weights = "averaged weights" if given.ema else "weights as trained"
    print(f"{weights} of step {step}: {pathlib.Path(export_dir) / name}")


if __name__ == "__main__":
    commands.run(main, __doc__)
