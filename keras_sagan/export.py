"""Exports a run's generator for TensorFlow Serving, or as a Keras file.

python -m keras_sagan.export --run_dir=runs/digits --export_dir=exports/digits
python -m keras_sagan.export --run_dir=runs/digits --export_dir=exports/digits --checkpoint=best
python -m keras_sagan.export --run_dir=runs/digits --export_dir=exports/digits --format=keras
"""

import pathlib
import re

from absl import flags

from keras_sagan import commands
from keras_sagan.errors import UsageError
from keras_sagan.progress import say_line
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.values import CheckpointChoice

flags.DEFINE_string("run_dir", None, "Folder of a run. Required.")
flags.DEFINE_string(
    "export_dir", None, "Folder of the model's versions, watched by a server. Required."
)
flags.DEFINE_enum(
    "format",
    "saved_model",
    ["saved_model", "keras"],
    "saved_model: EXPORT_DIR/VERSION, for TensorFlow Serving. keras: EXPORT_DIR/VERSION.keras with "
    "only the generator, for keras.saving.load_model after import keras_sagan.networks.",
)
flags.DEFINE_string("checkpoint", "newest", "newest, best, or a step.")
flags.DEFINE_bool(
    "ema", True, "Export the averaged weights; --noema exports the weights being trained."
)
flags.DEFINE_integer(
    "version",
    None,
    "Number of the version. Default: the checkpoint's step. A server takes the highest version.",
    lower_bound=1,
    upper_bound=2**63 - 1,
)
flags.DEFINE_string("model", "sagan", "Name by which clients know the model.")


def main() -> None:
    given = flags.FLAGS
    run_dir, export_dir = commands.require("run_dir"), commands.require("export_dir")
    checkpoint = CheckpointChoice.parse(given.checkpoint, several=False)
    if not re.fullmatch(r"\w[\w.-]*", given.model, re.ASCII):
        raise UsageError(
            "--model must consist of letters, digits, dots, hyphens and underscores, and not start "
            f"with a dot or hyphen. Received: {given.model}"
        )
    run = RunDirectory(run_dir)
    config = run.read_config()
    # TensorFlow takes seconds to import, so flags are checked first.
    import tensorflow as tf

    from keras_sagan.serving.archive import Settings, export_run

    # A training run may be using the GPUs.
    tf.config.set_visible_devices([], "GPU")
    folder, kind = pathlib.Path(export_dir), given.format
    settings = Settings(folder, kind, checkpoint, given.ema, given.version, given.model)
    name, step, notes = export_run(run, config, settings)
    for note in notes:
        say_line(f"note: {note}")
    weights = "averaged weights" if given.ema else "weights as trained"
    print(f"{weights} of step {step}: {settings.export_dir / name}")


if __name__ == "__main__":
    commands.run(main, __doc__)
