"""Runs to export, and what others make of the exports, in processes of their own."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import smallest
import tensorflow as tf
from scan import read, tensor_names

from keras_sagan.config import Config
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import Checkpoints, load_generator
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.sampling.sampler import latents_of, make_sampler
from keras_sagan.serving.archive import Settings, export_run
from keras_sagan.training.run import train
from keras_sagan.training.state import State
from keras_sagan.values import CheckpointChoice

NEWEST = CheckpointChoice.parse("newest")
FOLDER = pathlib.Path(__file__).parent
TINY = {
    "image_size": 16,
    "z_dim": 4,
    "g_channels": 4,
    "d_channels": 2,
    "batch_size": 4,
    "ema_start": 3,
    "log_every": 10,
    "sample_every": 100,
    "checkpoint_every": 10,
    # In few steps the moving statistics are to become those of the images.
    "bn_momentum": 0.5,
    "bn_momentum_last": 0.5,
    "g_lr": 0.01,
}
UNCONDITIONAL = smallest.DCGAN | {"num_classes": 0}


def trained_run(folder, data_dir, **fields):
    """The `RunDirectory` of 20 steps on digits."""
    return train(Config(**TINY | {"data_dir": str(data_dir), "total_steps": 20} | fields), folder)


def random_run(folder, **fields):
    """The `RunDirectory` of a checkpoint of random weights, at step 20."""
    config = Config(**TINY | {"num_classes": 10, "data_dir": str(folder)} | fields)
    run = RunDirectory(folder)
    run.path.mkdir()
    run.write_config(config)
    state = State.create(config)
    for seed, network in enumerate((state.generator, state.ema_generator)):
        randomize(network, seed)
    state.step.assign(20)
    Checkpoints(run.checkpoints, state, keep=1).save()
    return run


def randomize(network, seed):
    """Values that are all different, with which no part of the network is without effect."""
    numbers = np.random.default_rng(seed)
    for variable in network.variables:
        values = numbers.normal(size=variable.shape)
        if variable.path.endswith(("scale", "moving_variance", "gamma")):
            values = 0.5 + np.abs(values)
        elif variable.path.endswith(("offset", "bias", "moving_mean")):
            values = values / 4
        variable.assign(values)


def export(run, export_dir, **changed):
    """The path of a version, written as by default or with other `Settings`."""
    defaults = Settings(pathlib.Path(export_dir), "saved_model", NEWEST, True, None, "sagan")
    settings = dataclasses.replace(defaults, **changed)
    name, _, _ = export_run(run, run.read_config(), settings)
    return pathlib.Path(export_dir) / name


def sampled(run, labels, seeds):
    """The images of `keras_sagan.sample` for these pairs; labels None for a run without classes."""
    config = run.read_config()
    generator, _ = load_generator(config, newest_checkpoint(run.checkpoints))
    latents = [latents_of(seed, 1, config.z_dim).numpy()[0] for seed in seeds]
    labels = np.zeros(len(seeds)) if labels is None else labels
    return make_sampler(generator)(np.stack(latents), np.asarray(labels, np.int32))


def run_in_session(version, folder, asked):
    """What the signatures answer to `asked`, arrays by CASE/SIGNATURE/INPUT; see the script."""
    return answers("run_session.py", version, folder, asked)


def run_in_c_api(version, folder, asked):
    names = folder / "names.json"
    names.write_text(json.dumps(tensor_names(read(version))))
    return answers("run_c_api.py", version, folder, asked, names, pathlib.Path(tf.__file__).parent)


def answers(script, version, folder, asked, *more):
    inputs, outputs = folder / "inputs.npz", folder / "outputs.npz"
    np.savez(inputs, **asked)
    # Isolated: neither this folder nor PYTHONPATH, where our package may be.
    command = [sys.executable, "-I", FOLDER / script, version, inputs, outputs, *more]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    with np.load(outputs) as file:
        return dict(file)
