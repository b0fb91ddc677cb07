"""A version of a run's generator, from its checkpoint to the folder that a server watches."""

import dataclasses
import pathlib
import re
from typing import NamedTuple

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.networks.network import Network
from keras_sagan.runs.checkpoints import restore_weights
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.reading import CheckpointReader
from keras_sagan.runs.run_data import read_class_names
from keras_sagan.serving.card import model_card
from keras_sagan.serving.configs import configs
from keras_sagan.serving.folding import fold_spectral_norm
from keras_sagan.serving.publish import new_version
from keras_sagan.serving.saved_model import write_saved_model
from keras_sagan.serving.warmup import write_warmup
from keras_sagan.values import CheckpointChoice


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is exported, and where to."""

    export_dir: pathlib.Path  # Folder of a model's versions.
    format: str  # "saved_model" or "keras".
    checkpoint: CheckpointChoice  # Of a single one.
    ema: bool  # Whether to export the averaged weights.
    version: int | None  # None for the step.
    model: str  # Name by which clients know the model.

    def __post_init__(self) -> None:
        path = str(self.export_dir.absolute())
        if self.format == "saved_model" and re.search(r"[\[\\]", path):
            raise UsageError(
                "export_dir must have neither [ nor \\ in its path, which TensorFlow takes for a "
                f"pattern when it loads a model. Received: export_dir={path}"
            )


class Origin(NamedTuple):
    """Where exported weights come from."""

    step: int
    class_names: list[str] | None  # None: unknown.
    run: RunDirectory | None  # None for weights of a preset or of `SAGAN.fit`.


def export_run(run: RunDirectory, config: Config, settings: Settings) -> tuple[str, int, list[str]]:
    """Writes a version of the generator of a run with this configuration.

    Returns:
        The name of the version in `settings.export_dir`, its step, and notes on what a user may not
        expect.

    Raises:
        UsageError: if the version exists, or there is no checkpoint of that step.
        RunError: if the checkpoint cannot be read or the version cannot be written.
    """
    # First, because it takes longer than reading: training may write a checkpoint every second.
    generator = networks.generator(config)
    reader = CheckpointReader(
        run.checkpoints, lambda path: restore_weights(generator, path, settings.ema)
    )
    step = reader.read_one(settings.checkpoint).value
    origin = Origin(step, read_class_names(run, config), run)
    return export_generator(generator, config, settings, origin)


def export_generator(
    generator: Network, config: Config, settings: Settings, origin: Origin
) -> tuple[str, int, list[str]]:
    """Writes a version of a generator; result and errors as of `export_run`."""
    generator = fold_spectral_norm(generator)
    step, version = origin.step, settings.version or origin.step
    if settings.format == "keras":
        with new_version(settings.export_dir, f"{version}.keras") as path:
            generator.save(path)
        return path.name, step, []
    facts = {"model": settings.model, "version": version, "step": step, "ema": settings.ema}
    facts["class_names"] = origin.class_names
    card = model_card(origin.run, config, generator, facts)
    notes = []
    with new_version(settings.export_dir, str(version), configs(settings.model)) as path:
        write_saved_model(generator, path, origin.class_names)
        (path / "README.md").write_text(card, "utf-8", "surrogateescape")
        try:
            write_warmup(generator, origin.class_names, settings.model, path)
        except ImportError:
            note = "no warm-up requests: they need the extra `serving`, pip install .[serving]"
            notes.append(note)
    served = (settings.export_dir / "models.config").read_text("utf-8", errors="replace")
    if not re.search(rf"\bname\s*:\s*(['\"]){re.escape(settings.model)}\1", served):
        notes.append(f"the existing models.config names no model {settings.model}")
    return path.name, step, notes
