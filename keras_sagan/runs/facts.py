"""What a run recorded about the scores of a checkpoint."""

from typing import Any

from keras_sagan.metrics.protocol import current_name
from keras_sagan.runs.directory import RunDirectory


def newest_scores(run: RunDirectory, step: int, ema: bool = True) -> dict[str, dict[str, Any]]:
    """The newest row of `metrics.jsonl` for each metric of these weights as they are served."""
    return {
        current_name(row["metric"]): row
        for row in run.rows("metrics.jsonl")
        if row.get("step") == step
        and row.get("weights") == ("ema" if ema else "raw")
        and row.get("batch_norm") == "moving"
        and row.get("value") is not None
    }
