"""`SAGAN` and what it reads and writes: runs, presets, exports, scores."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from process import run as run_command
from sklearn.datasets import load_digits

import keras_sagan as ks
from keras_sagan import packaged
from keras_sagan.errors import RunError, UsageError
from keras_sagan.evaluation.scorer import Settings
from keras_sagan.evaluation.scoring import evaluate_run
from keras_sagan.extractors import trained
from keras_sagan.metrics.protocol import NATIVE
from keras_sagan.runs.checkpoints import choose_checkpoints, load_generator
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.presets import restore_preset, save_preset
from keras_sagan.sampling.sampler import latents_of_seeds, make_sampler
from keras_sagan.values import CheckpointChoice, ExtractorChoice

FIXTURE = pathlib.Path(__file__).parents[1] / "runs" / "fixtures" / "0.2.0"


@pytest.fixture(scope="module")
def gan():
    return ks.SAGAN.from_run(FIXTURE, checkpoint=20)


def test_a_run_is_restored_as_a_whole(gan):
    assert int(gan.state.step) == 20 == int(gan.g_optimizer.iterations)
    assert gan.config == RunDirectory(FIXTURE).read_config()
    assert gan.class_names == [*"0123456789"]


def test_generate_gives_the_images_of_sample(gan):
    config = gan.config
    (path,) = choose_checkpoints(FIXTURE / "checkpoints", CheckpointChoice((20,)))
    sample = make_sampler(load_generator(config, path)[0])
    for truncation in (None, 0.5):
        latents = latents_of_seeds([5, 0], config.z_dim, truncation)
        expected = sample(latents, np.array([3, 7], np.int32))
        found = gan.generate(labels=[3, "7"], seeds=[5, 0], truncation=truncation)
        np.testing.assert_array_equal(found, expected)
    assert np.abs(gan.generate([3, 7], [5, 0], 0.5, batch_size=1) - expected.astype(int)).max() <= 1
    for size in (-1, 0):
        with pytest.raises(ValueError, match=f"at least 1. Received: batch_size={size}"):
            gan.generate(batch_size=size)


def test_calls_give_images_and_maps_of_the_averaged_generator(gan):
    latents, labels = latents_of_seeds([5, 0], 8), np.array([3, 7], np.int32)
    images = gan(latents, labels).numpy()
    np.testing.assert_array_equal(
        np.round(images * 127.5 + 127.5).astype(np.uint8), gan.generate([3, 7], [5, 0])
    )
    np.testing.assert_allclose(gan.predict([latents, labels], verbose=0), images, atol=1e-6)
    maps = gan.attention_maps([3, 7], [5, 0])
    assert {name: each.shape for name, each in maps.items()} == {"attention_8": (2, 8, 8, 4, 4)}


def test_an_export_serves_the_same_images(gan, tmp_path):
    path = gan.export(tmp_path / "served")
    assert path == tmp_path / "served" / "20"
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    found = serve(labels=tf.constant([3, 7], tf.int64), seeds=tf.constant([5, 0], tf.int64))
    assert np.abs(found["images"].numpy() - gan.generate([3, 7], [5, 0]).astype(int)).max() <= 1
    card = (path / "README.md").read_text()
    assert "trained on `digits`, with the averaged weights of step 20" in card
    assert "To repeat the run" in card


def test_the_preset_digits_draws_the_digits_that_it_is_asked_for():
    found = ks.SAGAN.from_preset("digits")
    assert found.class_names == [*"0123456789"]
    labels = np.repeat(range(10), 5)
    images = found.generate(labels, [*range(50)])[..., 0].astype(float)
    small = images.reshape(50, 8, 2, 8, 2).mean(axis=(2, 4))
    real = load_digits()
    means = [real.images[real.target == label].mean(axis=0) * 255 / 16 for label in range(10)]
    distances = np.square(small[:, None] - means).sum(axis=(2, 3))
    assert np.mean(distances.argmin(axis=1) == labels) > 0.85
    sizes = [path.stat().st_size for path in ks.presets()["digits"].iterdir()]
    assert sum(sizes) < 2**20


def test_a_preset_has_the_weights_but_not_the_optimizers(gan, tmp_path, monkeypatch):
    folder = save_preset(
        FIXTURE, tmp_path / "presets" / "tiny", "20", description="Tiny digits.", license="none"
    )
    assert {path.suffix for path in folder.iterdir()} == {".json", ".npz"}
    record = json.loads((folder / "preset.json").read_text())
    assert (record["step"], record["license"]) == (20, "none")
    assert all(value is not None for value in record["scores"].values())
    monkeypatch.setattr(packaged, "PACKAGE", tmp_path)
    assert ks.presets() == {"tiny": folder}
    found = ks.SAGAN.from_preset("tiny")
    np.testing.assert_array_equal(found.generate([3, 7]), gan.generate([3, 7]))
    for name in ("generator", "discriminator"):
        for one, other in zip(
            getattr(gan, name).weights, getattr(found, name).weights, strict=True
        ):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert (int(found.state.step), int(found.g_optimizer.iterations)) == (20, 0)
    card = (found.export(tmp_path / "served") / "README.md").read_text()
    assert "To repeat" not in card
    assert "trained on" not in card
    shutil.copy(folder / "discriminator.npz", folder / "generator.npz")
    with pytest.raises(RunError, match="weights of the ema_generator. Received: others in"):
        restore_preset(folder, ema_generator=found.ema_generator)
    with pytest.raises(UsageError, match="preset of this version: tiny. Received: 'huge'"):
        ks.SAGAN.from_preset("huge")


@pytest.mark.slow
def test_half_the_precision_makes_nearly_the_same_images(gan, tmp_path, monkeypatch):
    monkeypatch.setattr(packaged, "PACKAGE", tmp_path)
    folder = tmp_path / "presets" / "half"
    save_preset(FIXTURE, folder, "20", description="", license="", dtype="float16")
    found = ks.SAGAN.from_preset("half").generate([3, 7])
    assert np.abs(found - gan.generate([3, 7]).astype(int)).max() <= 2


def test_without_a_best_checkpoint_the_newest_is_restored_with_a_warning(tmp_path):
    shutil.copytree(FIXTURE, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "best")
    with pytest.warns(UserWarning, match="no best checkpoint yet: using the newest"):
        gan = ks.SAGAN.from_run(tmp_path / "run", "best")
    assert int(gan.state.step) == 20


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_with_a_warning(tmp_path):
    shutil.copytree(FIXTURE, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "step-20.index").unlink()
    with pytest.warns(UserWarning, match=r"step-20 cannot be read: .*; using .*step-10$"):
        gan = ks.SAGAN.from_run(tmp_path / "run", "newest")
    assert int(gan.state.step.numpy()) == 10
    with pytest.raises(RunError, match="step-20 cannot be read"):
        ks.SAGAN.from_run(tmp_path / "run", 20)


def test_runs_and_checkpoints_that_do_not_exist_are_named(tmp_path):
    with pytest.raises(UsageError, match="expected a run directory"):
        ks.SAGAN.from_run(tmp_path)
    with pytest.raises(UsageError, match="newest, best or a step. Received: last"):
        ks.SAGAN.from_run(FIXTURE, "last")
    with pytest.raises(UsageError, match=r"one of \[10, 20\]. Received: 15"):
        ks.SAGAN.from_run(FIXTURE, 15)


def test_scores_without_classes_are_by_rotation(gan, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 1)
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), np.uint8)
    scores = gan.score(images, num_images=20, data_dir=tmp_path)
    assert scores == gan.score(images, np.zeros(40, int), num_images=20, data_dir=tmp_path)
    (suffix,) = {name.partition("/")[2] for name in scores}
    assert suffix.startswith("rotation-")
    # The model has classes, the real images have none: there are no distances within classes.
    names = {name.partition("/")[0] for name in scores}
    assert names == {"fd20", "kd20", "precision20", "recall20"}
    with pytest.raises(UsageError, match="at least two images.* Received: 1"):
        gan.score(images[:1], data_dir=tmp_path)
    with pytest.raises(UsageError, match="at least 4 real features. Received: 3"):
        gan.score(images[:3], num_images=20, data_dir=tmp_path)
    few = gan.score(images[:4], num_images=20, data_dir=tmp_path)
    assert all(np.isfinite(value) for value in few.values() if value is not None)


def test_scores_have_names_with_their_protocol(gan, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 1)
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), np.uint8)
    with pytest.raises(ValueError, match="no labels with the name of a set"):
        gan.score("digits", np.zeros(40, int))
    labels = np.arange(40) % 10
    score = ks.callbacks.Score(images, labels, every=2, num_images=20, data_dir=tmp_path)
    score.set_model(gan)
    first, second = {}, {"g_loss": 1.0}
    score.on_epoch_end(0, first)
    score.on_epoch_end(1, second)
    assert not first
    assert second.pop("g_loss") == 1.0
    (suffix,) = {name.partition("/")[2] for name in second}
    assert suffix.startswith("classifier-")
    names = {name.partition("/")[0] for name in second}
    assert names >= {"label_accuracy20", "fd20", "is20", "precision20", "intra_fd20"}
    assert len([*(tmp_path / "classifiers").glob("*.npz")]) == 1


@pytest.mark.slow
def test_scores_are_those_of_evaluate(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "STEPS", 20)
    run = RunDirectory(shutil.copytree(FIXTURE, tmp_path / "run"))
    gan = ks.SAGAN.from_run(run.path, "newest", data_dir=str(tmp_path / "data"))
    by_name = gan.score("digits", num_images=50)
    settings = Settings(
        extractors=(ExtractorChoice("classifier"),),
        protocol=NATIVE,
        count=50,
        batch_size=64,
        strategy="mirrored",
        replicas=0,
        checkpoint=CheckpointChoice(("newest",)),
        ema=True,
        batch_norm="moving",
        seed=0,
        real_statistics=None,
        save_statistics=None,
    )
    (rows,) = evaluate_run(run, gan.config, settings).scores.values()
    assert by_name == pytest.approx({row["metric"]: row["value"] for row in rows}, rel=1e-6)
    (folder,) = (tmp_path / "data" / "prepared").glob("digits*")
    arrays = [np.load(folder / f"{name}.npy") for name in ("images", "labels")]
    assert gan.score(*arrays, num_images=50) == pytest.approx(by_name)


@pytest.mark.slow
def test_generate_gives_the_pixels_of_the_command(gan, tmp_path):
    output = tmp_path / "grid.png"
    given = ["--labels=3,7", "--seeds=5,0", "--checkpoint=20"]
    code, _, err = run_command("sample", f"--run_dir={FIXTURE}", f"--output={output}", *given)
    assert code == 0, err
    grid = np.asarray(Image.open(output))[::4, ::4]  # Enlarged to be legible.
    tiles = [grid[y : y + 16, x : x + 16] for y in (0, 17) for x in (0, 17)]
    found = gan.generate([3, 3, 7, 7], [5, 0, 5, 0])[..., 0]
    assert np.abs(np.array(tiles) - found.astype(int)).max() <= 1
