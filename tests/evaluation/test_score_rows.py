"""Rows that were written under earlier names of metrics are still read."""

import json

import pytest

from keras_sagan.errors import UsageError
from keras_sagan.evaluation.score_rows import format_table, match_rows, read_scores
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.serving import card
from keras_sagan.training.records import best_recorded

ROW = {
    "metric": "fd10k/classifier-1234",
    "value": 7.5,
    "n_real": 1797,
    "n_fake": 10_000,
    "protocol": {"name": "native"},
    "extractor_sha256": "1234",
    "data_sha256": "b",
    "step": 20,
    "weights": "ema",
    "batch_norm": "moving",
}


@pytest.fixture
def earlier_run(tmp_path):
    run = RunDirectory(tmp_path)
    run.append("metrics.jsonl", ROW | {"metric": "fcd10k/classifier-1234"})
    run.append("scores.jsonl", {"step": 5, "fcd1k/classifier-1234": 9.0, "diversity": 1.0})
    run.append("scores.jsonl", {"step": 10, "fd1k/classifier-1234": 9.5, "diversity": 1.0})
    return run


def test_scores_with_earlier_names_are_compared_with_new_ones(earlier_run):
    new = ROW | {"value": 6.25}
    beside = match_rows([new], read_scores(earlier_run))
    assert format_table([new], beside).splitlines()[1].split() == [
        "fd10k/classifier-1234",
        "6.25",
        "1797",
        "7.5",
    ]
    with pytest.raises(UsageError, match="extractor_sha256=5678 and 1234"):
        match_rows([new | {"extractor_sha256": "5678"}], read_scores(earlier_run))
    assert json.loads((earlier_run.path / "metrics.jsonl").read_text())["metric"].startswith("fcd")


def test_the_model_card_has_the_current_names(earlier_run):
    assert "| fd10k/classifier-1234 | 7.5 |" in card.score_table(
        earlier_run, {"step": 20, "ema": True}
    )


def test_the_best_score_may_have_the_earlier_name(earlier_run):
    assert best_recorded(earlier_run, "fd1k/classifier-1234") == 9.0
