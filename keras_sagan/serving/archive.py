"""A version of a run's generator, from its checkpoint to the folder that a server watches."""

import dataclasses
import pathlib
import re

from keras_sagan import networks
from keras_sagan.errors import RunError
from keras_sagan.runs.checkpoints import choose_checkpoints, restore_weights
from keras_sagan.serving.card import model_card
from keras_sagan.serving.configs import configs
from keras_sagan.serving.fold import fold
from keras_sagan.serving.publish import new_version
from keras_sagan.serving.saved_model import write_saved_model
from keras_sagan.serving.warmup import write_warmup
from keras_sagan.values import CheckpointChoice


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is exported, and where to.

    Attributes:
        export_dir: path of the folder of a model's versions.
        format: "saved_model" or "keras".
        checkpoint: "newest", "best" or a step.
        ema: bool, whether averaged weights are taken.
        version: int; None: the step.
        model: str, the name by which clients know the model.
    """

    export_dir: str
    format: str
    checkpoint: str
    ema: bool
    version: int | None
    model: str


def export_run(run, config, settings):
    """Writes a version of a run's generator.

    Args:
        run: `RunDirectory`.
        config: its `Config`.
        settings: `Settings`.

    Returns:
        Name of the version in `settings.export_dir`, its step, and a list of what its user may not
        expect, as text.

    Raises:
        UsageError: if the version exists, or there is no checkpoint of that step.
        RunError: if the checkpoint cannot be read or the version not be written.
    """
    generator, step = load(run, config, settings)
    generator = fold(config, generator)
    version = settings.version or step
    if settings.format == "keras":
        with new_version(settings.export_dir, f"{version}.keras") as path:
            generator.save(path)
        return path.name, step, []
    facts = {"model": settings.model, "version": version, "step": step, "ema": settings.ema}
    card = model_card(run, config, generator, facts)
    notes = []
    with new_version(settings.export_dir, str(version), configs(settings.model)) as path:
        write_saved_model(generator, path)
        (path / "README.md").write_text(card)
        try:
            write_warmup(generator, settings.model, path)
        except ImportError:
            notes.append(
                "no warm-up requests: they need the extra `serving`, pip install .[serving]"
            )
    if not names(pathlib.Path(settings.export_dir) / "models.config", settings.model):
        notes.append(
            f"models.config, which was there before, has no model of the name {settings.model}"
        )
    return path.name, step, notes


def names(path, model):
    """Whether a `models.config` has a model of this name."""
    text = path.read_text(errors="replace")
    return re.search(rf"\bname\s*:\s*(['\"]){re.escape(model)}\1", text) is not None


def load(run, config, settings):
    """The generator of the chosen checkpoint, and its step.

    If training replaces the newest or the best one while it is read, the one in its place.
    """
    # First, since it takes longer than to read: training may write a checkpoint every second.
    generator = networks.generator(config)
    choice = CheckpointChoice.parse(settings.checkpoint, several=False)
    while True:
        paths = choose_checkpoints(run.checkpoints, choice)
        try:
            return generator, restore_weights(generator, paths[0], settings.ema)
        except RunError:
            if choose_checkpoints(run.checkpoints, choice) == paths:
                raise
