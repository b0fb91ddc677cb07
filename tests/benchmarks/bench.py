"""The benchmarks as a user starts them: in processes of their own."""

import json
import os
import pathlib
import subprocess

import forks

ROOT = pathlib.Path(__file__).parents[2]


def run(name, *flags, env=None):
    """`python -m benchmarks.NAME FLAGS` to its end: exit code, rows, last line of its errors."""
    result = subprocess.run(
        [forks.executable(), "-m", f"benchmarks.{name}", *flags, "--format=json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""} | (env or {}),
        check=False,
    )
    assert "Traceback" not in result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return result.returncode, rows, result.stderr.splitlines()[-1]
