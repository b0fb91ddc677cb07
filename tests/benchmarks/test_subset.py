"""Small image sets that are random parts of others."""

import os
import re
import subprocess

import forks
import numpy as np
import pytest
from bench import ROOT
from PIL import Image

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare


def subset(data_dir, *given):
    where = [f"--data_dir={data_dir}", "--image_size=16", "--image_channels=1"]
    return subprocess.run(
        [forks.executable(), "-m", "benchmarks.subset", *where, *given],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ,
        check=False,
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--classes=0,0", "--count=4"], "distinct --classes, .* Received: count=4, 2 classes"),
        (["--classes=0,1,2", "--count=2"], "an image for each. Received: count=2, 3 classes"),
        (["--classes=8", "--count=175"], "at most 174, as there are 174 images of class 8. Rec"),
        (["--classes=10", "--count=4"], "--classes must be numbers in 0...9. Received: 10"),
        (["--classes=1"], "--count is required"),
    ],
)
def test_impossible_subsets_are_refused(given, message, data_dir, tmp_path):
    result = subset(data_dir, "--dataset=digits", *given, f"--output={tmp_path / 'new'}")
    assert result.returncode == 2
    assert re.search(message, result.stderr.splitlines()[-1])
    assert not [*tmp_path.iterdir()]


def test_a_subset_is_a_folder_that_has_the_same_pixels(data_dir, tmp_path):
    output = tmp_path / "new" / "three"
    given = ["--dataset=digits", "--classes=7,0,1", "--count=10", f"--output={output}"]
    result = subset(data_dir, *given, "--seed=3")
    assert result.returncode == 0, result.stderr
    assert f"10 of 1797 images of digits: {output}" in result.stdout
    fields = {"image_size": 16, "image_channels": 1, "data_dir": str(data_dir)}
    whole = prepare(Config(**fields, dataset="digits").image_set, str(data_dir))
    paths = sorted(output.rglob("*.png"))
    assert [path.parent.name for path in paths] == [*"0001117777"]
    for path in paths:
        index = int(path.stem)
        assert str(whole.labels[index]) == path.parent.name
        np.testing.assert_array_equal(np.asarray(Image.open(path)), whole.images[index, ..., 0])
    others = [f"--output={tmp_path / name}" for name in ("same", "other")]
    for place, seed in zip(others, ("--seed=3", "--seed=4"), strict=True):
        assert subset(data_dir, *given[:-1], place, seed).returncode == 0
    same, other = ({path.name for path in (tmp_path / n).rglob("*.png")} for n in ("same", "other"))
    assert {path.name for path in paths} == same != other
    part = prepare(Config(**fields, dataset=f"folder:{output}").image_set, str(tmp_path))
    assert part.record["classes"] == ["0", "1", "7"]
    again = subset(data_dir, *given)
    assert again.returncode == 2
    assert f"--output must be a new folder. Received: {output}" in again.stderr.splitlines()[-1]
