"""Scaling: real replicas and processes, and the model's arithmetic with known answers."""

import pytest
from bench import run

from benchmarks.measure.scaling_model import Machine, Work, predict_step

TINY = ("--image_size=16", "--channels=2", "--batch_size=2", "--num_classes=3", "--cores=0")
MACHINE = Machine(
    peak_tflops=1.0,
    share=0.5,
    gpus_per_host=8,
    link_gb_per_s=100,
    network_gb_per_s=10,
    latency_us=5,
)
WORK = Work(macs_per_image=25_000_000, gradient_bytes=100_000_000, exchanges=2)


@pytest.fixture(scope="module")
def rows():
    counts = ("--steps=2", "--warmup_steps=0", "--rounds=1")
    code, rows, error = run("scaling", "--settings=1x1,1x2,2x1", "--gpus=1,8,64", *TINY, *counts)
    assert code == 0, error
    return rows


@pytest.mark.slow
def test_replicas_of_one_process_and_of_two_are_measured(rows):
    measured = rows[:3]
    assert [row["setting"] for row in measured] == ["1x1", "1x2", "2x1"]
    assert [row["replicas"] for row in measured] == [1, 2, 2]
    for row in measured:
        assert (row["benchmark"], row["status"]) == ("scaling", "ok")
        assert row["images_per_s"] > 0
        assert row["efficiency"] == pytest.approx(row["ratio"] / row["replicas"], rel=1e-3)
        assert row["gradient_mib"] == measured[0]["gradient_mib"] > 0


@pytest.mark.slow
def test_replicas_exchange_their_gradients_once_for_each_network(rows):
    alone, *others = rows[:3]
    assert (alone["exchanges"], alone["exchanged_mib"]) == (0, 0)
    for row in others:
        assert row["exchanges"] == 2
        assert 1 <= row["exchanged_mib"] / row["gradient_mib"] < 1.01


@pytest.mark.slow
def test_expected_rows_state_what_they_assume(rows):
    share = rows[0]["utilization"]
    assert [row["gpus"] for row in rows[3:]] == [1, 8, 64] * 2
    assert [row["images_per_gpu"] for row in rows[3:]] == [32, 32, 32, 256, 32, 4]
    for row in rows[3:]:
        assert row["benchmark"] == "scaling_expected"
        assert (row["share"], row["peak_tflops"]) == (share, 989)
        assert row["gradient_mib"] == pytest.approx((42_078_852 + 39_463_618) * 4 / 2**20, rel=1e-3)
        assert row["ratio"] <= row["gpus"] * 1.001  # Four digits are kept.
        assert row["efficiency"] <= row["efficiency_most"] <= 1


@pytest.mark.parametrize(
    ("gpus", "exchange_ms"),
    # 2 (n - 1) / n * 0.1 GB, at 100 and at 10 GB/s, and twice 5 microseconds.
    [(1, 0), (2, 1.01), (8, 1.76), (16, 18.76)],
)
def test_exchange_with_known_answers(gpus, exchange_ms):
    figures = predict_step(MACHINE, WORK, gpus, images=20)
    # 20 images of 50 MFLOP at 0.5 TFLOP/s.
    assert figures["compute_ms"] == pytest.approx(2)
    assert figures["exchange_ms"] == pytest.approx(exchange_ms)
    assert figures["efficiency"] == pytest.approx(2 / (2 + exchange_ms), rel=1e-3)
    assert figures["efficiency_most"] == pytest.approx(2 / max(2, exchange_ms), rel=1e-3)
    rate = gpus * 20 / (0.002 + exchange_ms / 1000)
    assert figures["images_per_s"] == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--settings=1x0",), "--settings must be PROCESSESxREPLICAS, e.g. 1x1,2x1. Received: 1x0"),
        (("--settings=",), "--settings must be"),
        (("--cores=10000",), "--cores must give each replica its own of the"),
        (("--gpus=0",), "--gpus"),
        (("--peak_tflops=nan",), "--peak_tflops must be positive. Received: nan"),
        (("--image_size=33",), "image_size must be a power of 2"),
    ],
)
def test_an_impossible_request_is_refused_before_anything_is_measured(flags, part):
    code, rows, error = run("scaling", *flags)
    assert (code, rows) == (2, [])
    assert part in error
