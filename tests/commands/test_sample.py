"""The page of samples as a user asks for it, against grids of the same flags and NumPy."""

import base64
import io
import json
import re
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from process import assert_one_line, run

from keras_sagan.data.prepared import Prepared
from keras_sagan.data.write import seal_of
from keras_sagan.errors import UsageError
from keras_sagan.extractors import trained
from keras_sagan.extractors.tasks import CLASSES
from keras_sagan.extractors.trained import train_extractor
from keras_sagan.pages import sample_exhibit as module
from keras_sagan.pages.sample_exhibit import feature_space, gather_samples
from keras_sagan.pages.sample_page import Selection
from keras_sagan.sampling.sampler import latents_of
from keras_sagan.values import ExtractorChoice

LABELS, SEEDS = [3, 7], [5, 0]


@pytest.fixture(scope="module")
def data(finished, data_dir, tmp_path_factory):
    """A folder of the run's data with a classifier that has hardly learned; both."""
    del finished  # It has prepared the data.
    folder = tmp_path_factory.mktemp("data")
    shutil.copytree(data_dir / "prepared", folder / "prepared")
    (directory,) = (folder / "prepared").glob("digits-16x16x1-*")
    prepared = Prepared(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "STEPS", 1)
        network = train_extractor(
            CLASSES,
            prepared.images,
            prepared.labels,
            prepared.record["sha256"],
            folder,
            tf.distribute.get_strategy(),
        )
    return folder, prepared, network


@pytest.fixture(scope="module")
def page(finished, data, tmp_path_factory):
    """What the command printed, and the data of its page."""
    output = tmp_path_factory.mktemp("page") / "new" / "samples.html"
    given = ["--labels=3,7", "--seeds=5,0", "--interpolate=0,1", f"--data_dir={data[0]}"]
    code, out, err = run("sample", f"--run_dir={finished[0]}", f"--output={output}", *given)
    assert code == 0, err
    text = re.search(r'id="data">(.*?)</script>', output.read_text()).group(1)
    return out, json.loads(text)


def decoded(address):
    kind, _, content = address.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def images_of(page, kind):
    """`[classes, truncations, n, H, W]` of the page's samples or frames."""
    shown = [decoded(each["image"] if kind == "samples" else each) for each in page[kind]]
    return np.stack(shown).reshape(2, 5, -1, 16, 16)


@pytest.mark.parametrize(
    ("kind", "given"),
    [("samples", ["--seeds=5,0"]), ("frames", ["--interpolate=0,1", "--columns=17"])],
)
def test_images_are_those_of_the_grid_of_a_truncation(kind, given, finished, page, tmp_path):
    out, data = page
    assert out.startswith("page of 20 images of step 20: ")
    assert data["truncations"] == [0.25, 0.5, 1, 2, 4]
    assert (data["classes"], data["seeds"]) == (["3", "7"], SEEDS)
    path = tmp_path / "grid.png"
    given = [f"--run_dir={finished[0]}", "--labels=3,7", "--truncation=2", *given]
    code, _, err = run("sample", f"--output={path}", *given)
    assert code == 0, err
    grid = np.asarray(Image.open(path))[::4, ::4]
    shown = images_of(data, kind)[:, 3]
    rows = [np.hstack([np.pad(each, [(0, 1), (0, 1)]) for each in row]) for row in shown]
    np.testing.assert_allclose(np.vstack(rows)[:-1, :-1][grid != 96], grid[grid != 96], atol=1)


def test_neighbors_are_those_of_all_pairs_of_the_runs_data(page, data):
    _, shown = page
    _, prepared, network = data
    samples = images_of(shown, "samples").reshape(20, 16, 16, 1)
    vectors = {
        "pixels": [images.reshape(len(images), -1) / 16 for images in (samples, prepared.images)],
        "features": [
            network(images / np.float32(127.5) - 1)[0].numpy()
            for images in (samples, prepared.images)
        ],
    }
    distances = {
        name: np.linalg.norm(x[:, None].astype(float) - y[None], axis=-1)
        for name, (x, y) in vectors.items()
    }
    for name, of_all in distances.items():
        for i, sample in enumerate(shown["samples"]):
            near = sample["near"][name]
            assert len(near) == 4
            places = [shown["real"][each["real"]]["index"] for each in near]
            for space in distances:
                np.testing.assert_allclose(
                    [each[space] for each in near], distances[space][i, places], rtol=1e-3
                )
            np.testing.assert_allclose(
                [each[name] for each in near], np.sort(of_all[i])[:4], rtol=1e-3
            )
    for real in shown["real"]:
        np.testing.assert_array_equal(
            decoded(real["image"]), prepared.images[real["index"], ..., 0]
        )
        assert real["name"] == str(prepared.labels[real["index"]])


def test_each_image_is_of_its_class_truncation_and_seed(data, monkeypatch):
    def drawn(latents, labels):
        """Images whose first row is the latent and whose second begins with the label."""
        images = np.zeros((len(latents), 16, 16, 1), np.uint8)
        images[:, 0, :, 0] = np.ascontiguousarray(latents).view(np.uint8)
        images[:, 1, 0, 0] = labels
        return images

    monkeypatch.setattr(module, "make_sampler", lambda _: drawn)
    generator = types.SimpleNamespace(example_shape=(4,), num_classes=10)
    samples = gather_samples(generator, Selection([7, 3], [5, 0], [9, 2]), data[1], None, False)
    assert samples.classes == ["7", "3"]
    for images, seeds in ((samples.images, [5, 0]), (samples.frames[:, :, [0, -1]], [9, 2])):
        np.testing.assert_array_equal(images[..., 1, 0, 0][:, 0, 0], [7, 3])
        latents = np.ascontiguousarray(images[..., 0, :, 0]).view(np.float32)
        for i, truncation in enumerate(samples.truncations):
            expected = [latents_of(seed, 1, 4, truncation)[0] for seed in seeds]
            np.testing.assert_allclose(latents[:, i], [expected, expected], rtol=1e-5)


@pytest.mark.slow
def test_mirrored_copies_count_where_training_mirrors(data, monkeypatch):
    _, prepared, network = data
    mirrored = np.ascontiguousarray(prepared.images[100:110, :, ::-1])
    # A generator that has learned ten images by heart.
    monkeypatch.setattr(
        module, "make_sampler", lambda _: lambda latents, _: mirrored[: len(latents)]
    )
    monkeypatch.setattr(module, "latents_of_seeds", lambda *_: np.zeros([2, 4]))
    monkeypatch.setattr(module, "latents_between", lambda *_: np.zeros([2, 4]))
    for flip in (False, True):
        generator = types.SimpleNamespace(example_shape=(4,), num_classes=0)
        selection = Selection([0], [0, 1], [0, 1])
        samples = gather_samples(generator, selection, prepared, network.features, flip)
        assert samples.classes == []
        for name, by in samples.neighbors.items():
            nearest = getattr(by, name)[:, 0]
            np.testing.assert_array_equal(nearest < 1e-3, flip)
            np.testing.assert_array_equal(by.index[:, 0] == np.arange(100, 110), flip)


def test_other_data_than_the_runs_are_refused(finished, data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data[0], folder)
    (path,) = folder.glob("prepared/*/dataset.json")
    record = data[1].record | {"sha256": "0" * 64}
    path.write_text(json.dumps(record | {"seal": seal_of(record)}))
    output = tmp_path / "samples.html"
    given = [f"--run_dir={finished[0]}", f"--output={output}", f"--data_dir={folder}"]
    assert_one_line(run("sample", *given), 2, "began with other images than digits has now")
    assert not output.exists()


def test_missing_inception_network_is_named(data, tmp_path):
    choice = ExtractorChoice.parse(f"inception:{tmp_path / 'none.pb'}")
    with pytest.raises(UsageError, match="^no Inception network at "):
        feature_space(choice, data[1], str(data[0]))


def test_a_step_names_a_checkpoint(finished, tmp_path):
    given = [f"--run_dir={finished[0]}", f"--output={tmp_path / 'grid.png'}", "--labels=3"]
    code, out, err = run("sample", *given, "--checkpoint=10")
    assert code == 0, err
    assert "8 images of step 10, " in out
    part = "--checkpoint must be newest, best or a step. Received: all"
    assert_one_line(run("sample", *given, "--checkpoint=all"), 2, part)
