"""Two processes on one host in the place of many: the same training as two replicas in one."""

import json
import pathlib
import subprocess

import forks
import numpy as np
import pytest
import tensorflow as tf
from process import environment, free_ports
from worker import STEPS

pytestmark = pytest.mark.slow

WORKER = pathlib.Path(__file__).with_name("worker.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder in which both forms have trained, with two replicas each."""
    folder = tmp_path_factory.mktemp("runs")
    ports = free_ports(2)
    processes = [
        subprocess.Popen(
            [forks.executable(), WORKER, form, folder],
            env=environment(ports, index) if form == "multi_worker" else environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for form, index in (("mirrored", 0), ("multi_worker", 0), ("multi_worker", 1))
    ]
    try:
        for process in processes:
            out, _ = process.communicate(timeout=600)
            assert process.returncode == 0, out
    finally:
        for process in processes:
            process.kill()
    return folder


def variables(run_dir, step):
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints" / f"step-{step}"))
    names = [name for name in reader.get_variable_to_shape_map() if "VARIABLE_VALUE" in name]
    return {name: reader.get_tensor(name) for name in names if "save_counter" not in name}


@pytest.mark.parametrize("what", ["jit", "sync"])
def test_two_processes_train_as_one_with_two_replicas(runs, what):
    before = variables(runs / "mirrored" / what, 3)
    ours = variables(runs / "multi_worker" / what, STEPS)
    theirs = variables(runs / "mirrored" / what, STEPS)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-5, err_msg=name)
    moved = [not np.array_equal(value, before[name]) for name, value in theirs.items()]
    assert np.mean(moved) > 0.5


def test_they_go_on_with_a_checkpoint_of_one_process(runs):
    ours = variables(runs / "multi_worker" / "crossed", STEPS)
    for name, value in variables(runs / "mirrored" / "sync", STEPS).items():
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-5, err_msg=name)
    environment = json.loads((runs / "multi_worker" / "crossed" / "environment.json").read_text())
    assert [start["step"] for start in environment["earlier"]] == [0, 3]


def test_only_the_chief_writes(runs):
    assert (runs / "multi_worker" / "jit" / "train.jsonl").exists()
    assert not (runs / "multi_worker" / "jit_of_another").exists()


def test_all_end_by_the_clock_of_the_chief(runs):
    """It has trained for longer than it may then: none begins a step."""
    crossed = runs / "multi_worker" / "crossed"
    assert json.loads((crossed / "config.json").read_text())["total_steps"] == 100
    assert (
        (crossed / "checkpoints" / "checkpoint")
        .read_text()
        .startswith(f'model_checkpoint_path: "step-{STEPS}"')
    )


def test_what_the_chief_refuses_all_refuse(runs):
    said = [
        json.loads((runs / "multi_worker" / f"worker{i}" / "said.json").read_text())
        for i in range(2)
    ]
    assert said[0][0] == said[1][0]
    assert "holds a run with another configuration: seed=0 -> 1" in said[0][0]
    assert said[0][1] == (
        "workers need the flags of their chief. Received: others in another worker"
    )
    assert said[1][1] == "workers need the flags of their chief. Received: log_every=2"


def test_each_makes_its_share_of_the_features_and_has_all(runs):
    expected = np.load(runs / "mirrored" / "features.npy")
    assert expected.shape == (10, 16)
    assert len(np.unique(expected, axis=0)) == 10
    for index in range(2):
        found = np.load(runs / "multi_worker" / f"worker{index}" / "features.npy")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
