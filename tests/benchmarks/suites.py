"""A suite small enough for a person to check its numbers."""

import json

import numpy as np
import pandas as pd
from PIL import Image

SUITE = {
    "suite": "small",
    "title": "A small | suite <of> two seeds",
    "command": "python -m benchmarks.compare --flagfile=benchmarks/suites/small.flags",
    "reference": "base",
    "metrics": ["fd2k", "recall2k"],
    "threshold": 12.0,
    "rows": {
        name: {"flags": [f"--{name}=1"], "config": None}
        for name in ("base", "late", "half", "gone", "absent")
    },
    "seeds": [0, 1],
    "budget": "200 steps",
    "dataset": "digits",
    "environment": {"machine": "Linux", "cpus": 2, "python": "3.11", "packages": {"keras": "3"}},
    "commits": ["0123abc"],
    "started": "2026-01-01T00:00:00",
    "ended": "2026-01-01T01:00:00",
    "commands": {"base/seed_0": ["python -m keras_sagan.train --base=1 && true"]},
}
# Of each run: seconds and fd2k at steps 100 and 200.
RUNS = {
    ("base", 0): ((60, 120), (30, 10)),
    ("base", 1): ((60, 180), (20, 14)),
    ("late", 0): ((60, 120), (8, 16)),
    ("late", 1): ((120, 240), (12, 18)),
    ("half", 0): ((60, 120), (25, 20)),
    ("half", 1): ((60, 120), (6, 4)),
    ("gone", 0): ((), ()),
    ("gone", 1): ((), ()),
}
STATUS = {
    ("half", 1): ("diverged", "d_loss is nan at step 150 | <b>stop</b>"),
    ("gone", 0): ("failed", "exit code -9: no output"),
    ("gone", 1): ("failed", "exit code -9: no output"),
}


def line(run, step, seconds, metric, protocol, value):
    status, reason = STATUS.get(run, ("ok", ""))
    return {
        **{"suite": "small", "row": run[0], "seed": run[1], "step": step, "images": 4 * step},
        **{"seconds": float(seconds), "metric": metric, "protocol": protocol},
        **{"value": float(value), "error": np.nan, "n_fake": np.nan, "n_real": np.nan},
        **{"status": status, "reason": reason, "device": "CPU", "precision": "float32"},
        **{"commit": "0123abc", "config_hash": "0" * 16},
    }


def table():
    lines = []
    for run, (seconds, values) in RUNS.items():
        lines.append(line(run, 0, 0, "finished", "harness", run not in STATUS))
        if values:
            lines.append(line(run, 0, 0, "g_parameters", "harness", 1_234_567))
        for step, time, value in zip((100, 200), seconds, values, strict=bool(values)):
            lines += [
                line(run, step, time, "fd2k", "judge-1", value),
                line(run, step, time, "recall2k", "judge-1", 1 / value),
                line(run, step, time, "images_per_s", "train", step + run[1]),
                line(run, step, time, "gamma/g_attention", "train", value / 100),
            ]
    return pd.DataFrame(lines)


def write(folder):
    """The folder of the suite, as a comparison leaves it."""
    (folder / "samples").mkdir(parents=True)
    table().to_parquet(folder / "results.parquet", index=False)
    (folder / "suite.json").write_text(json.dumps(SUITE))
    for row in ("base", "late"):
        Image.new("RGB", (8, 8)).save(folder / "samples" / f"{row}.png")
    return folder
