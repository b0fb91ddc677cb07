"""Images without classes: every command that needs features gets them from rotations."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from process import SIMPLE, assert_one_line, rows, run, train

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.extractors import trained
from keras_sagan.extractors.tasks import ROTATIONS


@pytest.fixture(scope="module")
def unlabeled(tmp_path_factory):
    """A folder of 60 images, all of them brighter above, and a run that was scored by rotations."""
    folder = tmp_path_factory.mktemp("unlabeled")
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for i in range(60):
        levels = rng.integers(0, 100, (16, 16), np.uint8)
        levels[:8] += 120
        Image.fromarray(levels).save(folder / "images" / f"{i}.png")
    dataset, data_dir = f"folder:{folder / 'images'}", folder / "data"
    config = Config(dataset=dataset, image_size=16, image_channels=1, data_dir=str(data_dir))
    prepared = prepare(config.image_set, config.data_dir)
    known = prepared.images, prepared.labels, prepared.record["sha256"], data_dir
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "STEPS", 40)
        trained.train_once(ROTATIONS, *known)
    more = [f"--dataset={dataset}", "--total_steps=20", "--eval_every=10"]
    train(folder / "run", data_dir, *SIMPLE, *more)
    return folder / "run"


def test_rotations_choose_the_best_checkpoint(unlabeled):
    found = rows(unlabeled / "scores.jsonl")
    assert [row["step"] for row in found] == [10, 20]
    (name,) = set(found[0]) - {"step", "diversity"}
    assert name.startswith("fd1k/rotation-")
    best = min(found, key=lambda row: row[name])["step"]
    (index,) = (unlabeled / "checkpoints" / "best").glob("step-*.index")
    assert index.stem == f"step-{best}"


def test_scores_are_by_rotation_and_say_so(unlabeled):
    given = f"--run_dir={unlabeled}", "--num_samples=50"
    code, out, err = run("evaluate", *given)
    assert code == 0, err
    _, _, *lines, note = out.splitlines()
    (suffix,) = {line.split()[0].partition("/")[2] for line in lines}
    names = [line.partition("/")[0] for line in lines]
    assert names == ["fd50", "kd50", "precision50", "recall50"]
    test = "100.0% accuracy on rotations of held-out real images (only 12), 25% by chance"
    assert note == f"{suffix}: {test}"
    (name,) = set(rows(unlabeled / "scores.jsonl")[0]) - {"step", "diversity"}
    assert name == f"fd1k/{suffix}"
    # The default names the network that it chooses only once.
    assert run("evaluate", *given, "--extractor=rotation,auto")[:2] == (code, out)


def test_a_classifier_cannot_learn_them(unlabeled):
    result = run("evaluate", f"--run_dir={unlabeled}", "--extractor=classifier")
    parts = "at least two classes; use --extractor=rotation. Received: 1 class"
    assert_one_line(result, 2, parts)


def test_a_page_of_samples_has_distances_of_features(unlabeled, tmp_path):
    output = tmp_path / "samples.html"
    code, _, err = run("sample", f"--run_dir={unlabeled}", f"--output={output}", "--columns=2")
    assert code == 0, err
    text = output.read_text()
    assert "a network that tells how these images were rotated (rotation-" in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text).group(1))
    assert all(len(sample["near"]["features"]) == 4 for sample in data["samples"])
