"""Names of metrics, and what may be compared."""

import pytest

from keras_sagan.errors import UsageError
from keras_sagan.metrics.protocol import (
    CONDITIONS,
    PROTOCOLS,
    check_comparable,
    current_name,
    metric_name,
)


@pytest.mark.parametrize(
    ("count", "name"),
    [(50_000, "fid50k/a"), (1000, "fid1k/a"), (512, "fid512/a"), (1797, "fid1797/a")],
)
def test_names_say_count_and_protocol(count, name):
    assert metric_name("fid", count, "a") == name


@pytest.mark.parametrize(
    ("earlier", "name"),
    [
        ("fcd10k/classifier-1234", "fd10k/classifier-1234"),
        ("cs300/classifier-1234", "is300/classifier-1234"),
        ("kcd10k/graph-1234-tfgan", "kd10k/graph-1234-tfgan"),
        ("intra_fcd", "intra_fd"),
        ("fid50k/tfgan", "fid50k/tfgan"),
        ("thumbnail_fd512", "thumbnail_fd512"),
    ],
)
def test_earlier_names_have_current_ones(earlier, name):
    assert current_name(earlier) == current_name(name) == name


def test_released_evaluation():
    """utils_ori.py and eval_imagenet.py: 50,000 of each, no quantization, one split."""
    protocol = PROTOCOLS["tfgan"]
    assert (protocol.fakes, protocol.reals, protocol.splits) == (50_000, 50_000, 1)
    assert (protocol.quantize, protocol.resize, protocol.scale) == (False, "legacy", "unit")


ROW = {
    "metric": "fid50k/tfgan",
    "n_real": 50_000,
    "n_fake": 50_000,
    "protocol": {"name": "tfgan"},
    "extractor_sha256": "a",
    "data_sha256": "b",
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_rows_of_other_conditions_are_not_compared(name):
    check_comparable({**ROW, "value": 1, "step": 3}, {**ROW, "value": 2, "step": 4})
    with pytest.raises(UsageError, match=f"Received: {name}=.* and other$"):
        check_comparable(ROW, {**ROW, name: "other"})
    assert set(ROW) == set(CONDITIONS)
