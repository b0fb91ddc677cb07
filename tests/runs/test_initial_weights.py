"""Weights of runs and presets as the start of new runs."""

import dataclasses
import pathlib
import re
import shutil

import numpy as np
import pytest
import smallest
import tensorflow as tf
from sources import make_source, values

import keras_sagan as ks
from keras_sagan.config import Config
from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import RunError, UsageError
from keras_sagan.runs import initial_weights
from keras_sagan.runs.checkpoint_files import remove_checkpoint
from keras_sagan.runs.checkpoints import Checkpoints, restore_networks
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.initial_weights import read_initial_weights, settle_source
from keras_sagan.runs.presets import make_networks
from keras_sagan.training.state import State

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "0.2.0"
SAGAN = Config(**smallest.NETWORKS, num_classes=4)
DCGAN = dataclasses.replace(SAGAN, **smallest.DCGAN)
NORMS = {"norm_1/scale", "norm_1/offset", "norm_2/scale", "norm_2/offset"}
SAGAN_NORMS = {f"generator/block_{size}/{name}" for size in (8, 16) for name in NORMS}
DCGAN_NORMS = {f"generator/norm_{size}/{name}" for size in (4, 8) for name in ("scale", "offset")}
EMBEDDING = "discriminator/logits/embedding/kernel"
SAGAN_TABLES = {EMBEDDING, "discriminator/logits/embedding/vector_u"}


def started(config, source, **changes):
    """The values of a new state before and after it has taken over those of `source`."""
    config = dataclasses.replace(config, init_from=str(source), **changes)
    state = State.create(config)
    before, initial = values(state), read_initial_weights(config)
    fresh = initial.assign_to(state)
    return before, values(state), initial, fresh


def equal(ours, theirs):
    """The names of those of our values that are theirs."""
    return {
        name
        for name, value in ours.items()
        if name in theirs and np.array_equal(value, theirs[name])
    }


@pytest.mark.parametrize("config", [SAGAN, DCGAN], ids=["sagan", "dcgan"])
def test_every_variable_is_the_sources(config, tmp_path):
    run, theirs = make_source(tmp_path / "source", config)
    before, after, initial, fresh = started(config, run.path, seed=1)
    assert equal(after, theirs) == set(after) == set(theirs)
    assert not equal(before, theirs)
    assert (initial.step, fresh) == (7, 0)
    assert initial.describe(fresh, 4) == f"starts with the weights of step 7 of {run.path}"


@pytest.mark.slow_except("sagan-4-3", "dcgan-4-3")
@pytest.mark.parametrize(("theirs", "ours"), [(4, 3), (0, 3), (4, 0)])
@pytest.mark.parametrize(
    ("config", "norms", "tables"),
    [(SAGAN, SAGAN_NORMS, SAGAN_TABLES), (DCGAN, DCGAN_NORMS, {EMBEDDING})],
    ids=["sagan", "dcgan"],
)
def test_tables_of_other_classes_stay_fresh(config, norms, tables, theirs, ours, tmp_path):
    source = dataclasses.replace(config, num_classes=theirs)
    run, weights = make_source(tmp_path / "source", source)
    before, after, initial, fresh = started(config, run.path, num_classes=ours)
    new = {name for name in after if name not in equal(after, weights)}
    tables = tables if ours else set()
    expected = {f"{name.partition('/')[0]}: {name}" for name in norms | tables}
    assert new == expected | {f"ema_generator: {name}" for name in norms}
    for name in new:
        np.testing.assert_array_equal(after[name], before[name])
    assert fresh == len(norms) + len(tables)
    assert (
        f"of step 7 of {run.path}; {fresh} variables that belong to single classes are new, "
        f"because it has {theirs} classes and this model has {ours}"
    ) in initial.describe(fresh, ours)


def test_best_checkpoint_is_taken_and_else_the_newest(tmp_path):
    config = RunDirectory(FIXTURE).read_config()
    shutil.copytree(FIXTURE, tmp_path / "run")
    for step, path in ((10, "best/step-10"), (20, "step-20")):
        _, after, initial, _ = started(config, tmp_path / "run", seed=1)
        networks = make_networks(config)
        assert restore_networks(str(FIXTURE / "checkpoints" / path), **networks) == step
        theirs = {
            f"{name}: {variable.path}": variable.numpy()
            for name, network in networks.items()
            for variable in network.variables
        }
        assert equal(after, theirs) == set(theirs)
        assert initial.step == step
        shutil.rmtree(tmp_path / "run" / "checkpoints" / "best", ignore_errors=True)


def test_preset_gives_its_weights():
    preset = ks.SAGAN.from_preset("digits")
    _, after, initial, fresh = started(preset.config, "preset:digits", seed=1)
    assert equal(after, values(preset.state)) == set(after)
    assert (initial.step, fresh) == (int(preset.state.step.numpy()), 0)
    record = initial.make_record(0, pathlib.Path("runs/a"))
    assert record["source"] == "preset:digits"
    assert "relative_path" not in record


@pytest.mark.parametrize(
    ("changes", "needed", "received"),
    [
        ({"z_dim": 5, "g_channels": 3}, "z_dim=4, g_channels=2", "z_dim=5, g_channels=3"),
        ({"image_size": 32}, "image_size=16, g_attention=8, d_attention=8", "image_size=32, "),
        ({"image_channels": 3, "d_channels": 4}, "image_channels=1, d_channels=2", "image_ch"),
        ({"d_spectral_norm": False}, "d_spectral_norm=True", "d_spectral_norm=False"),
        ({"g_attention": "16"}, "g_attention=8", "g_attention=16"),
        ({"attention_block": "residual"}, "attention_block=attention", "attention_block=res"),
        (smallest.DCGAN, "model=sagan, g_spectral_norm=True, d_spectral_norm=True", "model=dcg"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_networks_of_other_sizes_are_refused_with_every_difference(
    changes, needed, received, tmp_path
):
    run = RunDirectory(tmp_path / "source")
    run.path.mkdir()
    run.write_config(SAGAN)
    config = dataclasses.replace(SAGAN, init_from=str(run.path), **changes)
    expected = f"init_from={run.path} has networks of other sizes: it needs {needed}"
    with pytest.raises(UsageError, match=re.escape(expected)) as error:
        settle_source(config, RunDirectory(tmp_path / "new"))
    assert f". Received: {received}" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_attention_counts_by_its_resolutions_and_its_block_only_where_there_is_one(tmp_path):
    run = RunDirectory(tmp_path / "source")
    run.path.mkdir()
    run.write_config(SAGAN)
    same = {"g_attention": "8", "d_attention": " 8", "init_from": str(run.path)}
    settle_source(dataclasses.replace(SAGAN, **same), RunDirectory(tmp_path / "new"))
    run.write_config(DCGAN)
    same = {"attention_block": "residual", "init_from": str(run.path)}
    settle_source(dataclasses.replace(DCGAN, **same), RunDirectory(tmp_path / "new"))


def test_sources_that_do_not_exist_are_named(tmp_path):
    new = RunDirectory(tmp_path / "new")

    def settle(text):
        return settle_source(dataclasses.replace(SAGAN, init_from=text), new)

    with pytest.raises(UsageError, match="^init_from=nowhere: expected a run directory with conf"):
        settle("nowhere")
    with pytest.raises(UsageError, match="^init_from=preset:a: expected a preset of this version"):
        settle("preset:a")
    with pytest.raises(UsageError, match="another run than run_dir. Received: init_from="):
        settle(str(tmp_path / "." / "new"))
    with pytest.raises(UsageError, match="must be a path on this machine"):
        settle("gs://bucket/run")
    assert settle("") == ""
    assert not new.path.exists()


def test_damaged_and_missing_checkpoints_are_one_line(tmp_path):
    config = dataclasses.replace(SAGAN, init_from=str(tmp_path / "source"))
    run, _ = make_source(tmp_path / "source", SAGAN)
    (data,) = run.checkpoints.glob("step-7.data*")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"checkpoint .*step-7 cannot be read: .* has changed$"):
        read_initial_weights(config)
    remove_checkpoint(run.checkpoints / "step-7")
    with pytest.raises(RunError, match="expected a checkpoint. Received: none in"):
        read_initial_weights(config)
    make_source(tmp_path / "source", SAGAN)
    state = State.create(SAGAN)
    state.generator.variables[0].assign(np.full(state.generator.variables[0].shape, np.nan))
    Checkpoints(run.checkpoints, state, 3).save_best()
    with pytest.raises(RunError, match=r"expected finite weights as float32. Received: gener"):
        read_initial_weights(config)


def test_a_source_may_be_training(tmp_path, monkeypatch):
    """It removes its checkpoint while it is read, and another one is there."""
    run, _ = make_source(tmp_path / "source", SAGAN)

    def train_meanwhile(path, read=restore_networks, **networks):
        monkeypatch.setattr(initial_weights, "restore_networks", read)
        remove_checkpoint(pathlib.Path(path))
        make_source(run.path, SAGAN, step=8)
        return read(path, **networks)

    monkeypatch.setattr(initial_weights, "restore_networks", train_meanwhile)
    assert started(SAGAN, run.path)[2].step == 8


def test_hash_is_of_the_weights(tmp_path):
    config = dataclasses.replace(SAGAN, init_from=str(tmp_path / "source"))
    sums = []
    for seed, step in ((0, 7), (0, 8), (1, 9)):
        make_source(tmp_path / "source", SAGAN, step, seed)
        sums.append(read_initial_weights(config).sha256)
    assert sums[0] == sums[1] != sums[2]
    assert re.fullmatch(r"[0-9a-f]{64}", sums[0])


def test_every_replica_has_the_weights(two_replicas, tmp_path):
    run, theirs = make_source(tmp_path / "source", DCGAN)
    with two_replicas.scope():
        state = State.create(DCGAN)
    config = dataclasses.replace(DCGAN, init_from=str(run.path))
    read_initial_weights(config, Cluster(two_replicas)).assign_to(state)
    for i in range(2):
        for name in ("generator", "discriminator", "ema_generator"):
            for variable in getattr(state, name).variables:
                replica = two_replicas.experimental_local_results(variable.value)[i]
                np.testing.assert_array_equal(replica, theirs[f"{name}: {variable.path}"])


def test_workers_with_other_weights_than_the_chief_are_refused(tmp_path):
    run, _ = make_source(tmp_path / "source", DCGAN)
    config = dataclasses.replace(DCGAN, init_from=str(run.path))
    cluster = Cluster(tf.distribute.get_strategy())
    found = []

    def broadcast(value, *_):
        found.append(value)
        return "0" * 64 if isinstance(value, str) and len(value) == 64 else value

    cluster.broadcast = broadcast
    with pytest.raises(RunError, match="same weights in all workers. Received: init_from="):
        read_initial_weights(config, cluster)
    assert len(found[-1]) == 64


def test_a_moved_run_finds_its_source_where_it_would_be_now(tmp_path):
    source, _ = make_source(tmp_path / "before" / "source", DCGAN)
    config = dataclasses.replace(DCGAN, init_from=str(source.path))
    run = RunDirectory(tmp_path / "before" / "run")
    run.path.mkdir()
    run.write_config(config)
    initial = read_initial_weights(config)
    run.write_environment(0, [], {"init_from": initial.make_record(0, run.path)})
    (tmp_path / "before").rename(tmp_path / "after")
    shutil.rmtree(tmp_path / "after" / "source")
    run = RunDirectory(tmp_path / "after" / "run")
    for path, follows in (("after/source", True), ("after/other", False), ("before/run", False)):
        now = dataclasses.replace(config, init_from=str(tmp_path / path))
        settled = dataclasses.replace(now, init_from=settle_source(now, run))
        assert (settled.init_from == config.init_from) is follows
        if follows:
            assert run.check_config(settled) == []
        else:
            with pytest.raises(UsageError, match="another configuration: init_from="):
                run.check_config(settled)
