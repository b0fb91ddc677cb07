"""What a run recorded about its classes and about the scores of a checkpoint."""

import contextlib
import json
import pathlib
from typing import Any

from keras_sagan.config import Config
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


def read_class_names(run: RunDirectory, config: Config) -> list[str] | None:
    """The names of a run's classes; None if `config.data_dir` has not the data of the run."""
    if not config.num_classes:
        return []
    sha256 = run.read_environment().get("data", {}).get("sha256")
    for path in pathlib.Path(config.data_dir).glob("prepared/*/dataset.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            record = json.loads(path.read_text())
            if record["sha256"] == sha256:
                return record["classes"]
    return None
