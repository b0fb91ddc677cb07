"""Small image sets that are random parts of others."""

import os
import subprocess

import forks
import numpy as np
import pytest
from bench import ROOT
from PIL import Image

from benchmarks.subset import choose_images
from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.errors import UsageError

LABELS = np.array([0, 1, 2] * 10)


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


def test_classes_have_equal_shares_that_the_seed_chooses():
    chosen = choose_images(LABELS, [2, 0], 7, seed=0)
    assert np.bincount(LABELS[chosen], minlength=3).tolist() == [3, 0, 4]
    assert chosen == sorted(set(chosen))
    assert chosen == choose_images(LABELS, [2, 0], 7, seed=0) != choose_images(LABELS, [2, 0], 7, 1)


@pytest.mark.parametrize(
    ("labels", "count", "message"),
    [
        ([0, 0], 4, "distinct --classes, .* Received: count=4, 2 classes"),
        ([0, 1, 2], 2, "an image for each. Received: count=2, 3 classes"),
        ([0, 1], 22, "at most 20, as there are 10 images of class 0. Received: 22"),
    ],
)
def test_impossible_subsets_are_refused(labels, count, message):
    with pytest.raises(UsageError, match=message):
        choose_images(LABELS, labels, count, 0)


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
    part = prepare(Config(**fields, dataset=f"folder:{output}").image_set, str(tmp_path))
    assert part.record["classes"] == ["0", "1", "7"]
    again = subset(data_dir, *given)
    assert again.returncode == 2
    assert f"--output must be a new folder. Received: {output}" in again.stderr.splitlines()[-1]
