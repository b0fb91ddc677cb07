"""Runs whose weights others start with."""

import numpy as np

from keras_sagan.runs.checkpoints import Checkpoints
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training.state import State

NETWORKS = ("generator", "discriminator", "ema_generator")


def make_source(path, config, step=7, seed=0):
    """A run with a checkpoint in which every variable of a network has a value of its own."""
    run = RunDirectory(path)
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_config(config)
    state, draw = State.create(config), np.random.default_rng(seed)
    for name in NETWORKS:
        for variable in getattr(state, name).variables:
            variable.assign(draw.uniform(0.5, 1.5, variable.shape))
    state.step.assign(step)
    Checkpoints(run.checkpoints, state, 3).save()
    return run, values(state)


def values(state):
    """Every variable of the networks of a `State`, by network and path."""
    return {
        f"{name}: {variable.path}": np.array(variable.numpy())
        for name in NETWORKS
        for variable in getattr(state, name).variables
    }
