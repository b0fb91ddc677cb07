"""Layers: what is known of each implementation must come out."""

import importlib.util

import pytest
from bench import run

from benchmarks.measure import layers_worker, subprocesses

SETTINGS = {"image_size": 4, "channels": 8, "batch_size": 2, "steps": 30}
SHAPE = (2, 4, 4, 8)


@pytest.fixture(scope="module")
def spectral():
    names = ("keras_sagan", "keras_sagan_wrapper", "keras")
    return {name: layers_worker.measure_layer("spectral", name, SHAPE, 30) for name in names}


def test_our_gradient_is_that_of_autodiff_and_that_of_keras_is_not(spectral):
    for ours in ("keras_sagan", "keras_sagan_wrapper"):
        assert spectral[ours]["gradient_distance"] < 1e-5
    assert spectral["keras"]["gradient_distance"] > 0.05
    assert spectral["keras"]["gradient_cosine"] < 0.9999


def test_two_calls_leave_our_weights_alone_and_overwrite_those_of_keras(spectral):
    for ours in ("keras_sagan", "keras_sagan_wrapper"):
        assert spectral[ours]["kernel_change"] == 0
    assert spectral["keras"]["kernel_change"] > 0.1


def test_sigma_errors_begin_alike_and_vanish(spectral):
    ours, stock = (spectral[name]["sigma_errors"] for name in ("keras_sagan", "keras"))
    assert spectral["keras_sagan_wrapper"]["sigma_errors"] == pytest.approx(ours, abs=1e-5)
    assert list(ours) == list(stock) == ["1", "3", "10", "30"]
    assert ours["1"] == pytest.approx(stock["1"], rel=1e-4)
    for errors in (ours, stock):
        assert errors["1"] > 0.05  # From a random u, one iteration is not enough.
        assert errors["30"] < errors["1"] / 100


def test_both_attentions_are_the_same_function():
    for name in ("keras_sagan", "keras_naive"):
        row = layers_worker.measure_layer("attention", name, (2, 8, 8, 8), 30)
        assert row["output_distance"] < 1e-6
        assert row["gradient_distance"] < 1e-6
        assert 0 < row["ms_p50"] <= row["ms_p95"]


@pytest.mark.slow
def test_a_pass_in_blocks_takes_less_memory():
    """Each in a process of its own: one that has trained keeps memory, which hides a peak."""
    settings = {"part": "blocks_float32", "shape": [8, 64, 64, 16], "steps": 1}
    worker = "benchmarks.measure.layers_worker"
    blocks, at_once = (
        subprocesses.run_worker(worker, settings | {"layer": layer})
        for layer in ("keras_sagan", "at_once")
    )
    matrix = 8 * 64**2 * 32**2 * 4 / 2**20
    assert at_once["extra_mib"] > 1.5 * matrix
    # What the allocator keeps of freed blocks depends on how threads take turns.
    assert blocks["extra_mib"] < 0.5 * at_once["extra_mib"]


@pytest.mark.slow
def test_the_command_reports_all_rows():
    flags = [f"--{name}={value}" for name, value in SETTINGS.items()]
    flags.append("--parts=spectral,attention")
    code, rows, error = run("layers", *flags, "--rounds=1")
    assert code == 0, error
    assert [(row["part"], row["layer"]) for row in rows] == [
        ("spectral", "keras_sagan"),
        ("spectral", "keras_sagan_wrapper"),
        ("spectral", "keras"),
        ("spectral", "tensorflow_addons"),
        ("attention", "keras_sagan"),
        ("attention", "keras_naive"),
    ]
    installed = importlib.util.find_spec("tensorflow_addons") is not None
    assert rows[3].pop("status") == ("ok" if installed else "unavailable")
    assert installed or "pip install '.[peers]'" in rows[3]["error"]
    assert {row.get("status", "ok") for row in rows} == {"ok"}
    for ours in rows[:2]:
        assert ours["gradient_distance"] < 1e-5
    assert rows[0]["ratio"] == 1
