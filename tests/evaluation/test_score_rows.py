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


@pytest.fixture
def newer_run(tmp_path):
    """Rows as a later version may write them, and a line that a full disk cut off."""
    run = RunDirectory(tmp_path)
    run.append("metrics.jsonl", {"step": 20, "note": "a row of another kind"})
    run.append("metrics.jsonl", {"metric": 5, "value": 1.0, "step": 20})
    run.append("metrics.jsonl", ROW | {"metric": "waves10k/other", "amplitudes": [1, 2]})
    run.append("metrics.jsonl", ROW | {"device": {"name": "new"}, "packages": None})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"metric": "fd10k/cl')
    return run


def test_rows_of_a_newer_version_are_read_as_far_as_they_are_known(newer_run):
    names = [row["metric"] for row in read_scores(newer_run)]
    assert names == ["waves10k/other", "fd10k/classifier-1234"]
    (beside,) = match_rows([ROW], read_scores(newer_run))
    assert beside is not None
    assert beside["value"] == 7.5
    table = card.score_table(newer_run, {"step": 20, "ema": True})
    assert "| waves10k/other | 7.5 |" in table
    assert "| fd10k/classifier-1234 | 7.5 |" in table


@pytest.mark.parametrize("name", ["n_real", "protocol", "data_sha256"])
def test_a_row_without_a_condition_is_not_compared(name, tmp_path):
    run, row = RunDirectory(tmp_path), dict(ROW)
    del row[name]
    run.append("metrics.jsonl", row)
    with pytest.raises(UsageError, match=f"Received: {name}=.* and None$"):
        match_rows([ROW], read_scores(run))


@pytest.mark.parametrize("text", ["", "[]", '{"metric": "fd10k"}\n', "\xff\n{"])
def test_a_file_without_scores_is_one_line(text, tmp_path):
    (tmp_path / "metrics.jsonl").write_text(text, "latin-1")
    with pytest.raises(UsageError, match="expected scores in .*metrics.jsonl. Received: none$"):
        read_scores(RunDirectory(tmp_path))


def test_the_model_card_has_the_current_names(earlier_run):
    assert "| fd10k/classifier-1234 | 7.5 |" in card.score_table(
        earlier_run, {"step": 20, "ema": True}
    )


def test_the_best_score_may_have_the_earlier_name(earlier_run):
    assert best_recorded(earlier_run, "fd1k/classifier-1234") == 9.0
