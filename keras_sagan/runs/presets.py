"""Presets: the weights of a run in a folder that the package can ship.

A folder has `preset.json` (what it is), `config.json` (its `Config`), and the weights of three
networks as NumPy archives without pickle: arrays by the path of their variable. Optimizers are left
out, so training from a preset starts them anew.
"""

import dataclasses
import json
import os
import pathlib
import zipfile
from typing import Any

import keras
import numpy as np

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.errors import RunError, UsageError
from keras_sagan.packaged import PRESET_FILE
from keras_sagan.runs.checkpoints import restore_networks
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.facts import newest_scores
from keras_sagan.runs.reading import CheckpointReader
from keras_sagan.runs.run_data import read_class_names
from keras_sagan.values import CheckpointChoice

# Name of the network in `State` to its file.
FILES = {
    "ema_generator": "generator.npz",
    "generator": "raw_generator.npz",
    "discriminator": "discriminator.npz",
}


def save_preset(
    run_dir: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    checkpoint: str = "newest",
    *,
    description: str,
    license: str,
    dtype: str = "float32",
) -> pathlib.Path:
    """Makes a preset of a checkpoint of a run.

    Args:
        run_dir: the run.
        folder: to create, e.g. `keras_sagan/presets/NAME`.
        checkpoint: newest, best or a step.
        description: one sentence for users.
        license: of the weights and the data.
        dtype: of the arrays; float16 halves the files and moves a few levels of images by one.

    Returns:
        The folder.

    Raises:
        UsageError: if there is no such run or checkpoint.
        RunError: if the checkpoint cannot be read, or a weight does not fit `dtype`.
    """
    run, folder = RunDirectory(run_dir), pathlib.Path(folder)
    config = run.read_config()
    choice = CheckpointChoice.parse(checkpoint, several=False)
    found = make_networks(config)
    reader = CheckpointReader(run.checkpoints, lambda path: restore_networks(path, **found))
    step = reader.read_one(choice).value
    record = {"description": description, "license": license, **describe_weights(run, config, step)}
    arrays = {name: weight_arrays(network, dtype) for name, network in found.items()}
    folder.mkdir(parents=True)
    for name, file in FILES.items():
        np.savez_compressed(folder / file, **arrays[name])  # pyright: ignore[reportArgumentType]
    places: dict[str, Any] = {"dataset": config.image_set.dataset.public_text}
    # A preset has all weights, whatever its run started with.
    fields = ("data_dir", "tfds_dir", "init_from", "freeze_d")
    places |= {name: getattr(Config, name) for name in fields}
    elsewhere = dataclasses.replace(config, **places)
    (folder / "config.json").write_text(elsewhere.to_json(), "utf-8")
    (folder / PRESET_FILE).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return folder


def make_networks(config: Config) -> dict[str, keras.Model]:
    """The networks of `FILES`, by name, with weights that are still to be read."""
    found = {name: networks.generator(config) for name in ("ema_generator", "generator")}
    return {**found, "discriminator": networks.discriminator(config)}


def describe_weights(run: RunDirectory, config: Config, step: int) -> dict[str, Any]:
    """What the preset of a run's checkpoint says of its weights."""
    environment = run.read_environment()
    return {
        "class_names": read_class_names(run, config),
        "scores": {name: row["value"] for name, row in newest_scores(run, step).items()},
        "step": step,
        "data": environment.get("data", {}),
        "commit": environment.get("commit"),
    }


def weight_arrays(network: keras.Model, dtype: str) -> dict[str, np.ndarray]:
    """All variables of a network by path; raises `RunError` if one is not finite in `dtype`."""
    arrays = {}
    for variable in network.variables:
        with np.errstate(over="ignore"):
            arrays[variable.path] = np.asarray(variable.numpy()).astype(dtype)
        if not np.isfinite(arrays[variable.path]).all():
            raise RunError(f"expected finite weights as {dtype}. Received: {variable.path}")
    return arrays


def read_preset(folder: pathlib.Path) -> tuple[dict[str, Any], Config]:
    """The record and the configuration of a preset.

    Raises:
        RunError: if they cannot be read.
    """
    try:
        record = json.loads((folder / PRESET_FILE).read_text("utf-8"))
        return record, Config.from_json((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, UsageError) as error:
        raise RunError(f"the preset in {folder} cannot be read: {error}") from error


def restore_preset(folder: pathlib.Path, **named: keras.Model) -> None:
    """Gives networks, by their names in `State`, the weights of a preset.

    Raises:
        RunError: if a file cannot be read or belongs to another network.
    """
    for name, network in named.items():
        path = folder / FILES[name]
        try:
            with np.load(path, allow_pickle=False) as arrays:
                values = {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise RunError(f"weights in {path} cannot be read: {error}") from error
        shapes = {variable.path: tuple(variable.shape) for variable in network.variables}
        if shapes != {key: value.shape for key, value in values.items()}:
            raise RunError(f"expected the weights of the {name}. Received: others in {path}")
        for variable in network.variables:
            variable.assign(values[variable.path])
