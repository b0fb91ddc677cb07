"""Starts a new run with the weights of another run or of a preset.

All variables of both networks and of the averaged generator are taken over: weights, moving
statistics and singular vectors. Where the numbers of classes differ, variables with a row for each
class start fresh. The optimizers do too.
"""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import numpy as np

from keras_sagan.config import Config
from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError, UsageError
from keras_sagan.packaged import find_preset
from keras_sagan.runs.checkpoint_files import list_checkpoints
from keras_sagan.runs.checkpoints import restore_networks
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.presets import make_networks, read_preset, restore_preset, weight_arrays
from keras_sagan.runs.reading import CheckpointReader
from keras_sagan.values import PRESET, CheckpointChoice, absolute_source

# Fields that determine the shapes of variables, besides attention and the number of classes.
SIZES = ("model", "image_size", "image_channels", "z_dim", "g_channels", "d_channels")
SIZES += ("g_spectral_norm", "d_spectral_norm")


@dataclasses.dataclass(frozen=True)
class InitialWeights:
    """The weights of a run or preset, as they were read."""

    source: str  # An absolute path, or preset:NAME.
    step: int  # At which the source had them.
    num_classes: int  # Of the source.
    # float32, by network as `State` names it, then by path of the variable.
    arrays: dict[str, dict[str, np.ndarray]]

    @property
    def sha256(self) -> str:
        """Hash over names, shapes and bytes of all arrays."""
        total = hashlib.sha256()
        for network, arrays in sorted(self.arrays.items()):
            for path, array in sorted(arrays.items()):
                total.update(f"{network} {path} {array.shape} ".encode())
                total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def assign_to(self, state: Any) -> int:
        """Assigns the weights to the networks of a fresh `State`, on all replicas.

        Returns:
            The number of variables of generator and discriminator that stay fresh, because the
            source has no such variable or one of another shape.
        """
        fresh = 0
        for name, arrays in self.arrays.items():
            for variable in getattr(state, name).variables:
                array = arrays.get(variable.path)
                if array is not None and array.shape == tuple(variable.shape):
                    variable.assign(array)
                elif name != "ema_generator":  # Its variables are the generator's once more.
                    fresh += 1
        return fresh

    def describe(self, fresh: int, num_classes: int) -> str:
        """A line for the user: the source, and what it could not give a run of `num_classes`."""
        taken = f"starts with the weights of step {self.step} of {self.source}"
        if not fresh:
            return taken
        return (
            f"{taken}; {fresh} variables that belong to single classes are new, because it has "
            f"{self.num_classes} classes and this model has {num_classes}"
        )

    def make_record(self, fresh: int, run_dir: pathlib.Path) -> dict[str, Any]:
        """What `environment.json` says about it."""
        record = {"source": self.source, "step": self.step, "sha256": self.sha256}
        if not self.source.startswith(PRESET):
            record["relative_path"] = os.path.relpath(self.source, run_dir.absolute())
        return record | {"new_variables": fresh}


def settle_source(config: Config, run: RunDirectory) -> str:
    """The `init_from` of a run that is about to start or to resume, before it claims its folder.

    A run that resumes needs no source. If it has been moved together with its source, the new path
    of the source stands for the recorded one.

    Raises:
        UsageError: if a new run's source does not exist, is the run itself, or has other sizes.
        RunError: if it cannot be read.
    """
    source, exists = absolute_source(config.init_from), (run.path / "config.json").exists()
    own = run.read_config().init_from if exists else None
    is_itself = bool(source) and os.path.realpath(source) == os.path.realpath(run.path)
    if is_itself and own != source:  # It may have started with a run that was here then.
        raise UsageError(
            f"init_from must be another run than run_dir. Received: init_from={config.init_from}"
        )
    if own is None:
        if source:
            read_source_config(config)
        return config.init_from
    record = run.read_environment().get("init_from")
    moved = record.get("relative_path") if isinstance(record, dict) else None
    is_own = moved and source == os.path.normpath(run.path.absolute() / moved)
    return own if is_own else config.init_from


def read_source_config(config: Config) -> Config:
    """The `Config` of the source of a run with this `config`.

    Raises:
        UsageError: if there is no such source, or its networks have other sizes.
        RunError: if it cannot be read.
    """
    text = config.init_from
    try:
        if text.startswith(PRESET):
            theirs = read_preset(find_preset(text.removeprefix(PRESET)))[1]
        else:
            theirs = RunDirectory(text).read_config()
    except UsageError as error:
        raise UsageError(f"init_from={text}: {error}") from error
    ours, needed = network_sizes(config), network_sizes(theirs)
    wrong = [name for name in ours if name in needed and ours[name] != needed[name]]
    if wrong:
        raise UsageError(
            f"init_from={text} has networks of other sizes: it needs "
            f"{', '.join(f'{name}={needed[name]}' for name in wrong)}. "
            f"Received: {', '.join(f'{name}={ours[name]}' for name in wrong)}"
        )
    return theirs


def network_sizes(config: Config) -> dict[str, Any]:
    """All flags that determine the shapes of variables, except `num_classes`."""
    sizes = {name: getattr(config, name) for name in SIZES}
    for name in ("g_attention", "d_attention"):
        sizes[name] = ",".join(map(str, getattr(config, f"{name}_resolutions"))) or "none"
    if {sizes["g_attention"], sizes["d_attention"]} != {"none"}:
        sizes["attention_block"] = config.attention_block
    return sizes


def read_initial_weights(config: Config, cluster: Cluster | None = None) -> InitialWeights:
    """Reads the weights that `config.init_from` names, in all processes of `cluster` alike.

    Of a run, these are the weights of its best checkpoint, or of its newest if none is best. It may
    be training.

    Raises:
        UsageError: if there is no such source, or its networks have other sizes.
        RunError: if its weights cannot be read.
    """
    cluster = cluster or Cluster()
    text = cluster.decide(lambda: read_source_config(config).to_json(), "reads init_from")
    theirs = Config.from_json(text)
    networks, source = make_networks(theirs), absolute_source(config.init_from)
    if source.startswith(PRESET):
        folder = find_preset(source.removeprefix(PRESET))
        cluster.fail_together(lambda: restore_preset(folder, **networks), source)
        step = read_preset(folder)[0]["step"]
    else:
        step = read_checkpoint(RunDirectory(source), networks, cluster)
    arrays = {name: weight_arrays(network, "float32") for name, network in networks.items()}
    found = InitialWeights(source, step, theirs.num_classes, arrays)
    if cluster.any_process([cluster.broadcast(found.sha256) != found.sha256])[0]:
        raise RunError(f"expected the same weights in all workers. Received: init_from={source}")
    return found


def read_checkpoint(run: RunDirectory, networks: dict[str, Any], cluster: Cluster) -> int:
    """Gives `networks` the weights of the best or the newest checkpoint; returns its step."""

    def read(path):
        what = f"checkpoint {path}"
        return cluster.fail_together(lambda: restore_networks(path, **networks), what)

    is_scored = cluster.decide(lambda: bool(list_checkpoints(run.checkpoints / "best")))
    choice = CheckpointChoice(("best" if is_scored else "newest",))
    return CheckpointReader(run.checkpoints, read, cluster).read_one(choice).value
