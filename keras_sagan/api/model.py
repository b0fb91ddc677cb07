"""`SAGAN`: a generator and a discriminator as one Keras model."""

import dataclasses
import os
import pathlib
import warnings
from typing import Any

import keras

from keras_sagan import packaged
from keras_sagan.api.generating import GenerativeModel
from keras_sagan.api.requests import check_positive
from keras_sagan.api.scoring import exact_matrix_products, gather_reals, make_native_scorer
from keras_sagan.evaluation.fakes import Inputs
from keras_sagan.evaluation.score_rows import make_rows
from keras_sagan.runs.checkpoint_files import list_checkpoints
from keras_sagan.runs.checkpoints import Checkpoints, choose_checkpoints
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.presets import FILES, read_preset, restore_preset
from keras_sagan.runs.reading import CheckpointReader
from keras_sagan.runs.run_data import read_class_names
from keras_sagan.serving.archive import Origin, Settings, export_generator
from keras_sagan.values import CheckpointChoice


@keras.saving.register_keras_serializable("keras_sagan")
class SAGAN(GenerativeModel):
    """The Self-Attention GAN as a Keras model.

    It generates images, trains with `fit` under any Keras callback, and is saved and restored as a
    whole: both networks, the averaged generator, both optimizers and the step. To train on several
    devices, create it within `strategy.scope()`. Called as `gan(latents, labels)`, it returns
    images in [-1, 1], float32 `[n, H, W, C]`. Creating one sets the global seeds of Python, NumPy
    and TensorFlow, so that models with equal options and `seed` have equal weights.

    Source: Zhang et al. 2019, https://arxiv.org/abs/1805.08318.

    Args:
        class_names: list of str, a name for each class. None: their numbers.
        name: str, of the model.
        read_source: bool, whether to read the weights that `init_from` names; False for a model
            that is given others.
        **options: any field of `keras_sagan.config.Config`, by default as for `train`, but with
            `num_classes=0`, a model without classes. Fields that steer a run (`dataset`,
            `total_steps`, `log_every`, `replicas`, ...) have no effect here.

    Attributes:
        config: the `Config` of the options.
        class_names: list of str, empty for a model without classes.
        generator: the generator in training, `ema_generator` its moving average.
        discriminator: images and labels to logits.

    Raises:
        UsageError: a `ValueError`, if an option does not exist or its value is impossible.
        ValueError: if `class_names` are not as many as the classes.
        RunError: if the weights of `init_from` cannot be read.

    Example:
        >>> import keras_sagan as ks
        >>> tiny = {"image_size": 16, "g_channels": 4, "d_channels": 4, "z_dim": 8}
        >>> names = ["cat", "dog"]
        >>> gan = ks.SAGAN(num_classes=2, class_names=names, batch_size=4, **tiny)
        >>> gan.generate(labels=["cat", "dog"], seeds=[0, 1]).shape
        (2, 16, 16, 3)
    """

    # The run whose weights these are, and their step.
    origin: tuple[RunDirectory | None, int] = (None, 0)

    @classmethod
    def from_run(
        cls,
        run_dir: str | os.PathLike[str],
        checkpoint: str | int = "best",
        data_dir: str | None = None,
    ) -> "SAGAN":
        """Restores a checkpoint of a run of `train`, ready to generate or to train on.

        Args:
            run_dir: path, folder of the run.
            checkpoint: newest, best or a step. Where no checkpoint has been scored, best is the
                newest, with a warning. Newest is the newest that can be read, with a warning for
                each damaged one.
            data_dir: path, where the run's prepared data are now, for the names of classes and for
                `score`. None: where the run had them.

        Returns:
            The model, with the run's optimizers and step.

        Raises:
            UsageError: if there is no such run or step.
            RunError: if there is no checkpoint, or it cannot be read.

        Example:
            >>> gan = ks.SAGAN.from_run("runs/digits", checkpoint="best")  # doctest: +SKIP
        """
        run = RunDirectory(run_dir)
        config = run.read_config()
        config = dataclasses.replace(config, data_dir=data_dir or config.data_dir)
        choice = CheckpointChoice.parse(str(checkpoint), several=False)
        if choice.parts == ("best",) and not list_checkpoints(run.checkpoints / "best"):
            warnings.warn(f"{run.path} has no best checkpoint yet: using the newest", stacklevel=2)
            choice = CheckpointChoice(("newest",))
        choose_checkpoints(run.checkpoints, choice)  # Creating the model takes seconds.
        names, options = read_class_names(run, config), dataclasses.asdict(config)
        gan = cls(class_names=names, read_source=False, **options)
        read = Checkpoints(run.checkpoints, gan.state, config.keep_checkpoints).read
        found = CheckpointReader(run.checkpoints, read).find_one(choice)
        for failure in found.failures:
            warnings.warn(f"{failure}; using {found.path}", stacklevel=2)
        gan.origin = run, int(gan.state.step.numpy())
        return gan

    @classmethod
    def from_preset(cls, name: str) -> "SAGAN":
        """Loads a model that the package ships; `keras_sagan.presets()` lists them.

        Optimizers are not in a preset, so `fit` starts with fresh ones.

        Args:
            name: str, of the preset.

        Returns:
            The model, at the step at which the preset was made.

        Raises:
            UsageError: if there is no such preset.
            RunError: if its files cannot be read.

        Example:
            >>> gan = ks.SAGAN.from_preset("digits")  # doctest: +SKIP
        """
        folder = packaged.find_preset(name)
        record, config = read_preset(folder)
        gan = cls(class_names=record["class_names"], **dataclasses.asdict(config))
        restore_preset(folder, **{network: getattr(gan, network) for network in FILES})
        gan.state.step.assign(record["step"])
        return gan

    def score(
        self,
        images: Any,
        labels: Any = None,
        num_images: int = 2000,
        seed: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
    ) -> dict[str, float | None]:
        """Scores generated images against real ones, as `keras-sagan evaluate` does.

        Features come from a classifier of the real images or, without at least two classes, from a
        network that tells by how much they were rotated. The first call trains it, which takes
        minutes at most, and keeps it in `data_dir`, or in memory if it cannot write there. Only
        scores by the same network, named after the slash, are comparable.

        Args:
            images: real images, uint8 or float in [-1, 1] `[N, H, W, C]`. Or the name of a set, as
                in `--dataset`, e.g. "digits" or "folder:PATH", which is prepared on first use.
            labels: int `[N]`; None for images without classes, and with a name.
            num_images: int, generated images, at least 4.
            seed: int in [0, 2^31), of their latents and labels.
            data_dir: path, folder of networks, features and prepared sets. None: the model's
                `config.data_dir`.

        Returns:
            Name with image count and network, e.g. `fd2k/classifier-1234` or `fd2k/rotation-1234`,
            to value; None where there are too few images.

        Raises:
            ValueError: if images or labels do not fit the model.
            UsageError: if there are fewer real images than a score needs.
            RunError: if a set cannot be prepared, or files in `data_dir` cannot be read.

        Example:
            >>> gan.score(images, labels)  # doctest: +SKIP
        """
        check_positive(num_images=num_images)
        folder = str(data_dir or self.config.data_dir)
        reals = gather_reals(images, labels, self.config, folder)
        inputs = Inputs(seed, self.config.z_dim, self.config.num_classes)
        with exact_matrix_products():
            scorer = make_native_scorer(reals, self.distribute_strategy, num_images, seed, folder)
            scores = scorer.score_generator(self.ema_generator, inputs, self.config.is_symmetry)
        return {row["metric"]: row["value"] for row in make_rows(scores, scorer.extractor.name, {})}

    def export(
        self, folder: str | os.PathLike[str], version: int | None = None, model: str = "sagan"
    ) -> pathlib.Path:
        """Writes the averaged generator as a SavedModel, as `keras-sagan export` does.

        Args:
            folder: path, where a server looks for versions of the model.
            version: int, of this one. None: the step.
            model: str, the name by which clients know the model.

        Returns:
            The folder of the version.

        Raises:
            UsageError: if the version exists.
            RunError: if it cannot be written.

        Example:
            >>> gan.export("exports/pets", model="pets")  # doctest: +SKIP
        """
        newest = CheckpointChoice(("newest",))
        settings = Settings(pathlib.Path(folder), "saved_model", newest, True, version, model)
        step, names = int(self.state.step.numpy()), [*self.class_names]
        run = self.origin[0] if self.origin[1] == step else None
        origin = Origin(step, names, run)
        found = export_generator(self.ema_generator, self.config, settings, origin)
        for note in found[2]:
            warnings.warn(note, stacklevel=2)
        return settings.export_dir / found[0]


def load(path: str | os.PathLike[str]) -> SAGAN:
    """Loads what `SAGAN.save` wrote: networks, optimizers and step, compiled as it was.

    Args:
        path: of the `.keras` file. Keras' safe mode applies: nothing in it is executed.

    Returns:
        The model. `fit` continues as if it had never been saved.

    Raises:
        ValueError: if there is no such file, or it contains another model.

    Example:
        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/gan.keras"
        >>> gan.save(path)
        >>> bool((ks.load(path).generate(seeds=3) == gan.generate(seeds=3)).all())
        True
    """
    found = keras.saving.load_model(path, safe_mode=True)
    if not isinstance(found, SAGAN):
        raise ValueError(f"expected a file of SAGAN.save. Received: {type(found).__name__}")
    return found
