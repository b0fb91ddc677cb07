"""Speed: real measurements in their own processes, and arithmetic with known answers."""

import dataclasses
import statistics

import pytest
import smallest
from bench import run

from benchmarks.measure.speed_row import summarize_speed, training_macs
from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.networks.macs import forward_macs

TINY = ("--image_sizes=16", "--g_channels=2", "--d_channels=2", "--num_classes=3", "--steps=4")
SETTINGS = {"image_size": 16, "batch_size": 4, "g_channels": 2, "d_channels": 2, "num_classes": 3}


@pytest.fixture(scope="module")
def rows():
    flags = ("--models=dcgan,keras_naive", "--batch_sizes=4", "--warmup_steps=2", "--rounds=2")
    flags += ("--breakdown",)
    code, rows, error = run("speed", *TINY, *flags)
    assert code == 0, error
    return rows


@pytest.mark.slow
def test_each_setting_is_a_row_with_all_that_was_set(rows):
    assert [row["model"] for row in rows] == ["dcgan", "keras_naive"]
    for row in rows:
        assert row["status"] == "ok"
        same = SETTINGS | {"precision": "float32", "jit": "off", "steps": 4, "warmup_steps": 2}
        assert {name: row[name] for name in same} == same
        assert row["device"] == "CPU"
        assert row["device_peak_mib"] is None
        assert row["versions"]["tensorflow"].startswith("2.")
        assert set(row) >= {"commit", "cpus", "machine", "rounds", "steps_per_call"}


@pytest.mark.slow
def test_figures_are_of_the_size_that_they_must_have(rows):
    for row in rows:
        assert 0 < row["step_ms_p50"] <= row["step_ms_p95"]
        # A step of the slower round takes, in the mean, at least the mean over both rounds, and
        # half of all steps take at least the median.
        slower = 1000 * 4 / min(row["train_images_per_s_by_round"])
        assert row["step_ms_p50"] / 2 <= slower <= 2 * row["step_ms_p95"]
        assert row["timed_steps"] == 8
        assert row["train_images_per_s"] == pytest.approx(
            statistics.median(row["train_images_per_s_by_round"]), rel=2e-3
        )
        assert row["compile_s"] > row["step_ms_p50"] / 1000
        assert 100 < row["host_peak_mib"] < 10_000  # TensorFlow alone takes some hundred.
        assert row["sample_images_per_s"] > row["train_images_per_s"]
        assert 0 < row["utilization"] < 1


@pytest.mark.slow
def test_parts_make_up_the_step(rows):
    parts = rows[0]["breakdown"]
    assert parts["d_turn"] + parts["g_turn"] > parts["g_forward"] > 0
    own = sum(value for name, value in parts.items() if not name.endswith("_forward"))
    # Each was measured at another moment, on a machine that may do other work.
    assert rows[0]["step_ms_p50"] / 5 < own < 5 * rows[0]["step_ms_p50"]
    assert "breakdown" not in rows[1]


@pytest.mark.slow
def test_ratios_are_to_the_first_setting_in_the_same_round(rows):
    first, second = (row["train_images_per_s_by_round"] for row in rows)
    assert len(first) == len(second) == 2
    each = [own / other for own, other in zip(second, first, strict=True)]
    assert rows[1]["ratio"] == pytest.approx(statistics.median(each), rel=2e-3)
    assert rows[1]["ratio_least_and_most"] == pytest.approx(sorted(each), rel=2e-3)
    assert (rows[0]["ratio"], rows[0]["ratio_least_and_most"]) == (1, [1, 1])


@pytest.mark.slow
def test_macs_are_those_of_the_networks(rows):
    assert [rows[0]["g_macs"], rows[0]["d_macs"]] == macs(Config(**SETTINGS, **smallest.DCGAN))
    # The stock parts look up rows of tables where ours multiply: 2 tables of 3 classes and 2
    # channels in each of 4 normalizations, and one table at the end of the discriminator.
    g_macs, d_macs = macs(Config(**SETTINGS))
    assert [rows[1]["g_macs"], rows[1]["d_macs"]] == [g_macs - 4 * 2 * 6, d_macs - 6]


def macs(config):
    config = dataclasses.replace(config, fast=False)
    return [forward_macs(make(config)) for make in (networks.generator, networks.discriminator)]


@pytest.mark.slow
def test_a_failed_setting_is_a_row_and_exit_code_1():
    # No machine holds such a network.
    code, rows, error = run("speed", *TINY, "--models=sagan", "--g_channels=1000000000")
    assert code == 1
    assert [row["status"] for row in rows] == ["failed"]
    assert rows[0]["g_channels"] == 10**9
    assert "Error: " in rows[0]["error"]
    assert "1 of 1 rows failed" in error


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--models=biggan",), "--models must be some of sagan"),
        (("--image_sizes=32,17",), "Received: 17"),
        (("--batch_sizes=8,x",), "--batch_sizes must be whole numbers"),
        (("--steps=4", "--steps_per_call=3"), "--steps must be a multiple of --steps_per_call=3"),
    ],
)
def test_an_impossible_setting_is_refused_before_anything_is_measured(flags, part):
    code, rows, error = run("speed", *flags)
    assert (code, rows) == (2, [])
    assert part in error


def measurement(rate, call_s=(0.1, 0.1, 0.1, 0.5), **changes):
    figures = {"call_s": call_s, "train_images_per_s": rate, "sample_images_per_s": 10 * rate}
    costs = {"g_macs": 100, "d_macs": 50, "matmul_flops_per_s": 16_000.0, "compile_s": 2.0}
    peaks = {"host_peak_mib": 7.0, "device_peak_mib": None, "device": "CPU"}
    return figures | costs | peaks | changes


def test_summary_with_known_answers():
    measurements = [
        measurement(2.0),
        measurement(4.0, host_peak_mib=9.0),
        measurement(6.0, (0.2,) * 4),
    ]
    row = summarize_speed(
        measurements, [measurement(1.0), measurement(1.0), measurement(2.0)], steps_per_call=2
    )
    assert (row["train_images_per_s"], row["sample_images_per_s"]) == (4, 40)
    assert (row["ratio"], row["ratio_least_and_most"]) == (3, [2, 4])
    # Seconds a call: six of 0.1, four of 0.2, two of 0.5; a call is two steps.
    assert row["timed_steps"] == 24
    assert row["step_ms_p50"] == 75
    assert row["step_ms_p95"] == 250
    assert (row["host_peak_mib"], row["device_peak_mib"]) == (9, None)
    # 2 * (4 * 100 + 8 * 50) FLOP an image, times 4 images a second, over 16,000.
    assert row["utilization"] == 0.4


def test_a_breakdown_is_the_medians_of_its_parts():
    measurements = [
        measurement(2.0, breakdown={"feed": feed, "rest": 1.0}) for feed in (3.0, 9.0, 4.0)
    ]
    assert summarize_speed(measurements, measurements, 1)["breakdown"] == {"feed": 4, "rest": 1}


def test_a_setting_that_fails_late_has_failed_and_is_no_reference():
    failed = [measurement(2.0), {"error": "exit code -9: no output"}]
    assert summarize_speed(failed, failed, 1) == {
        "status": "failed",
        "error": "exit code -9: no output",
    }
    row = summarize_speed([measurement(2.0), measurement(4.0)], failed, 1)
    assert (row["status"], row["ratio"], row["ratio_least_and_most"]) == ("ok", None, None)


@pytest.mark.slow
def test_training_macs_are_near_those_of_the_traced_steps():
    config = Config(
        image_size=32, batch_size=2, g_channels=8, d_channels=8, num_classes=0, fast=False
    )
    one, two = (traced_step_macs(config, batch) for batch in (1, 2))
    assert training_macs(*macs(config)) == pytest.approx(two - one, rel=0.05)


def traced_step_macs(config, batch):
    """Multiply-accumulates of both turns, counted on their graphs."""
    import tensorflow as tf

    from keras_sagan.training.draws import Conditions, Draws
    from keras_sagan.training.game import Game
    from keras_sagan.training.state import State

    game = Game(config, State.create(config), [1])
    labels = tf.TensorSpec((batch,), tf.int32)
    latents, flips = tf.TensorSpec((batch, config.z_dim)), tf.TensorSpec((batch,), tf.bool)
    draws = Draws(latents, labels, flips, (), ())
    images = tf.TensorSpec((batch, config.image_size, config.image_size, 3))
    d_step = tf.function(game.discriminator_step).get_concrete_function(
        images, labels, draws, Conditions({})
    )
    g_step = tf.function(game.generator_step).get_concrete_function(draws, Conditions({}))
    return sum(macs_back_too(each) for function in (d_step, g_step) for each in needed(function))


def needed(function):
    """Operations that the outputs depend on; what else the tape made is never run."""
    waiting, seen = [tensor.op for tensor in function.graph.outputs], {}
    while waiting:
        operation = waiting.pop()
        if operation.name not in seen:
            seen[operation.name] = operation
            waiting += [tensor.op for tensor in operation.inputs]
    return seen.values()


def macs_back_too(operation):
    import math

    from keras_sagan.networks.macs import macs_of

    if operation.type != "Conv2DBackpropFilter":
        return macs_of(operation)
    gradient, kernel = operation.inputs[2].shape, operation.outputs[0].shape
    return math.prod(gradient) * math.prod(kernel[:3])
