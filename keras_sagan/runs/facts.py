"""What a run recorded about the scores of its checkpoints."""

from typing import Any

from keras_sagan.metrics.protocol import current_name
from keras_sagan.runs.directory import RunDirectory


def recorded_scores(run: RunDirectory) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl`, with the current names of metrics.

    Other versions may have written them: rows that are not scores are left out, and keys that this
    version does not know are kept.
    """
    return [
        row | {"metric": current_name(row["metric"])}
        for row in run.rows("metrics.jsonl")
        if isinstance(row.get("metric"), str) and "value" in row
    ]


def newest_scores(run: RunDirectory, step: int, ema: bool = True) -> dict[str, dict[str, Any]]:
    """The newest row of `metrics.jsonl` for each metric of these weights as they are served."""
    return {
        row["metric"]: row
        for row in recorded_scores(run)
        if row["step"] == step
        and row.get("weights") == ("ema" if ema else "raw")
        and row.get("batch_norm") == "moving"
        and row["value"] is not None
    }
