"""A user of the commands, for `trials.py`: what they type, and a run that they have trained."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "commands")]
os.environ["PYTHONPATH"] = str(ROOT)
import forks  # noqa: E402
import process  # noqa: E402
import smallest  # noqa: E402

TOP = pathlib.Path(tempfile.mkdtemp(prefix="trials-"))
DATA = f"--data_dir={TOP / 'data'}"
SMALLEST = [*smallest.as_flags(smallest.RUN), "--checkpoint_every=1", "--log_every=1"]
SYNTHETIC = ["--dataset=synthetic", "--num_classes=3"]
SIMPLE = [*SMALLEST, *smallest.as_flags(smallest.DCGAN), *SYNTHETIC]
ENDLESS = ["--total_steps=1000000", "--keep_checkpoints=1"]


def start(command, *flags, **options):
    """A process of `python -m keras_sagan.COMMAND FLAGS`; see `forks.executable`.

    Takes the options of `Popen`, and `variables`, environment variables to set, and `python`,
    options of Python.
    """
    variables = {"HOME": str(TOP), "CUDA_VISIBLE_DEVICES": ""} | options.pop("variables", {})
    variables = os.environ | variables
    module = command if "." in command else f"keras_sagan.{command}"
    is_plain = not {"python", "preexec_fn"} & set(options)
    python = forks.executable() if is_plain else sys.executable
    program = [python, *options.pop("python", []), "-m", module]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*program, *flags], env=variables, **pipes | {"cwd": TOP} | options)


def run(command, *flags, **options):
    """Exit code, standard output, and the lines of standard error that are not TensorFlow's."""
    started = start(command, *flags, **options)
    out, err = started.communicate(timeout=600)
    assert "Traceback" not in err, err
    return started.returncode, out, [x for x in err.splitlines() if not process.is_notice(x)]


def succeed(command, *flags, **options):
    """The whole output of a command that must exit with 0."""
    code, out, lines = run(command, *flags, **options)
    assert code == 0, f"{command} ended with {code}: {lines}"
    return out + "\n".join(lines)


def refuse(part, command, *flags, **options):
    """Checks that a command ends in one line, which has `part`, and with exit code 1 or 2."""
    code, out, lines = run(command, *flags, **options)
    assert code in (1, 2), f"{command} ended with {code}: {out}{lines}"
    assert len(lines) == 1, lines
    assert part in lines[0], lines[0]


def train(run_dir, *more, **options):
    given = [f"--run_dir={run_dir}", DATA, *SIMPLE, "--total_steps=1", *more]
    return succeed("train", *given, **options)


def digest(run_dir):
    said = succeed("train", "--check", f"--run_dir={run_dir}")
    return re.search(r"^digest: (\w+)$", said, re.MULTILINE)[1]


def wait_for(path, started):
    while not path.exists():
        assert started.poll() is None, started.communicate()
        time.sleep(0.02)


def stop(started, number):
    """Ends a process with a signal; returns exit code and output."""
    started.send_signal(number)
    out, err = started.communicate(timeout=600)
    return started.returncode, out + err


def draw_photos(folder, count=8):
    """Images of two classes, one of which is not ASCII."""
    draw = np.random.default_rng(0)
    for name in ("ant", "猫"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            image = Image.fromarray(draw.integers(0, 256, (16, 16), np.uint8))
            image.save(folder / name / f"{i}.png")
    return folder


@functools.cache
def trained():
    """A folder with photos and runs of two and three steps, trained with relative paths."""
    folder = TOP / "trained"
    draw_photos(folder / "my photos")
    for name, steps in (("run", 2), ("straight", 3)):
        given = [f"--run_dir=runs/{name}", "--data_dir=data", "--dataset=folder:my photos"]
        succeed("train", *given, *SMALLEST, f"--total_steps={steps}", cwd=folder)
    succeed("evaluate", "--run_dir=runs/straight", "--num_samples=16", cwd=folder)
    return folder


def copy(place):
    """A copy of `trained` and of its run."""
    shutil.copytree(trained(), place / "copy")
    return place / "copy", place / "copy" / "runs" / "run"
