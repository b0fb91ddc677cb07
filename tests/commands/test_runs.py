"""What whole runs record, refuse, and let be sampled, as a user starts them."""

import fcntl
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from process import SIMPLE, assert_one_line, flags, rows, run, train

from keras_sagan.config import Config
from keras_sagan.training.health import STATISTICS


def test_run_directory_says_all_that_produced_it(finished):
    run_dir, _ = finished
    config = Config.from_json((run_dir / "config.json").read_text())
    assert (config.total_steps, config.z_dim) == (20, 4)
    environment = json.loads((run_dir / "environment.json").read_text())
    assert set(environment) >= {"started", "command", "commit", "devices", "packages", "python"}
    assert environment["packages"]["tensorflow"] == tf.__version__
    assert "--total_steps=20" in environment["command"]
    assert len(environment["devices"]) == 1
    assert environment["device"] == "CPU"
    assert environment["networks"]["generator"]["parameters"] > 0
    assert environment["networks"]["discriminator"]["macs"] > 0


def test_records_hold_losses_gammas_and_rates(finished):
    run_dir, log = finished
    first, *lines = rows(run_dir / "train.jsonl")
    # Of the first call, which compiled, there is no rate.
    assert "images_per_s" not in first
    assert [row["step"] for row in (first, *lines)] == [5, 10, 15, 20]
    assert first["seconds"] < lines[0]["seconds"] < lines[2]["seconds"]
    for row in lines:
        assert set(row) == {
            "step",
            "seconds",
            "d_loss",
            "g_loss",
            *STATISTICS,
            "gamma/g_attention_8",
            "gamma/d_attention_8",
            "steps_per_s",
            "images_per_s",
        }
        assert row["images_per_s"] == pytest.approx(4 * row["steps_per_s"])
    assert lines[-1]["gamma/d_attention_8"] != 0
    scores = rows(run_dir / "scores.jsonl")
    assert [row["step"] for row in scores] == [10, 20]
    assert all(0 < row["diversity"] < 1 for row in scores)
    said = [line for line in log.splitlines() if line.startswith("step ")]
    assert said
    assert "_norm=" not in said[0]
    for part in ("d_loss=", "g_loss=", "gamma/g_attention_8=", "steps/s=", "images_per_s=", "ETA="):
        assert part in said[0]


def test_tensorboard_files_hold_scalars_and_the_grid(finished):
    run_dir, _ = finished
    scalars, images = {}, {}
    for path in (run_dir / "tensorboard").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                kind = value.metadata.plugin_data.plugin_name
                if kind == "scalars":
                    number = float(tf.make_ndarray(value.tensor))
                    scalars.setdefault(value.tag, {})[event.step] = number
                elif kind == "images":
                    images[event.step] = tf.make_ndarray(value.tensor)
    for row in rows(run_dir / "train.jsonl"):
        for name, number in row.items():
            if name != "step":
                assert scalars[name][row["step"]] == pytest.approx(number, rel=1e-5)
    assert sorted(images) == [10, 20]
    width, height, encoded = images[20]
    grid = tf.io.decode_png(encoded).numpy()
    assert grid.shape == (int(height), int(width), 1)
    saved = np.asarray(Image.open(run_dir / "samples" / "step_0000020.png"))
    np.testing.assert_array_equal(saved[::4, ::4], grid[..., 0])


def test_other_configuration_is_refused_by_field(finished, data_dir):
    run_dir, _ = finished
    result = run("train", *flags(run_dir, data_dir, "--d_lr=0.5", "--g_channels=3"))
    assert_one_line(result, 2, "d_lr=0.0004 -> 0.5", "g_channels=2 -> 3")


def test_classes_must_be_those_of_the_data(finished, data_dir, tmp_path):
    del finished  # It has prepared the data.
    result = run("train", *flags(tmp_path, data_dir, "--num_classes=7"))
    assert_one_line(
        result, 2, "num_classes must be 10, the number of classes in digits", "Received: 7"
    )
    assert not (tmp_path / "config.json").exists()


def test_second_trainer_is_refused(finished, data_dir):
    run_dir, _ = finished
    with (run_dir / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = run("train", *flags(run_dir, data_dir, "--total_steps=20"))
    assert_one_line(result, 1, "in use by another trainer: process ")


def test_run_directory_that_cannot_be_made_is_named(tmp_path, data_dir):
    (tmp_path / "file").write_text("")
    result = run("train", *flags(tmp_path / "file" / "run", data_dir))
    assert_one_line(result, 1, "cannot be written")


@pytest.mark.slow
def test_losses_that_are_not_finite_stop_the_run(tmp_path, data_dir):
    result = run("train", *flags(tmp_path, data_dir, "--d_lr=1e38", "--total_steps=20"))
    code, _, err = result
    assert code == 1
    # Its first update is beyond all bounds: of the numbers of that step the generator's is bad.
    assert "=nan of the generator, first at step 1" in err.splitlines()[-1]
    assert "error: expected finite losses" in err.splitlines()[-1]
    assert "Traceback" not in err


def picture(path):
    return np.asarray(Image.open(path))[::4, ::4]


@pytest.mark.slow
def test_samples_are_those_of_the_flags(finished, tmp_path):
    run_dir, _ = finished

    def sample(name, *more):
        output = tmp_path / "new" / name
        code, out, err = run("sample", f"--run_dir={run_dir}", f"--output={output}", *more)
        assert code == 0, err
        assert str(output) in out
        return picture(output)

    default = sample("a.png")
    assert default.shape == (10 * 17 - 1, 8 * 17 - 1)
    training = picture(run_dir / "samples" / "step_0000020.png")
    np.testing.assert_array_equal(default, training)  # Averaged weights, seed 0.
    rows_3_7 = sample("b.png", "--labels=3,7", "--columns=4")
    assert rows_3_7.shape == (2 * 17 - 1, 4 * 17 - 1)
    others = [
        sample("d.png", "--labels=3,7", "--columns=4", *more)
        for more in (["--seed=1"], ["--truncation=0.5"], ["--noema"])
    ]
    for other in others:
        assert not np.array_equal(other, rows_3_7)
    coarse = sample("e.png", "--labels=3,7", "--columns=4", "--precision=mixed_bfloat16")
    difference = np.abs(coarse.astype(int) - rows_3_7)
    assert 0 < difference.max() <= 8


@pytest.mark.slow
def test_run_without_classes_is_sampled_from_its_best_checkpoint(tmp_path, data_dir):
    more = [*SIMPLE, "--total_steps=4", "--num_classes=0", "--checkpoint_every=2"]
    train(tmp_path, data_dir, *more)
    best = min(rows(tmp_path / "scores.jsonl"), key=lambda row: row["thumbnail_fd512"])["step"]
    more = ["--interpolate=0,1", "--columns=3", f"--output={tmp_path / 'a.png'}"]
    code, out, err = run("sample", f"--run_dir={tmp_path}", "--checkpoint=best", *more)
    assert code == 0, err
    assert f"3 images of step {best}: " in out
    assert picture(tmp_path / "a.png").shape == (16, 3 * 17 - 1)
    pictures = []
    for more in (["--seeds=5,5,6"], ["--seed=5", "--columns=1"]):
        given = [f"--run_dir={tmp_path}", f"--output={tmp_path / 'b.png'}", *more]
        code, _, err = run("sample", *given)
        assert code == 0, err
        pictures.append(picture(tmp_path / "b.png"))
    columns = [pictures[0][:, i : i + 16] for i in (0, 17, 34)]
    np.testing.assert_array_equal(columns[0], columns[1])
    np.testing.assert_array_equal(columns[0], pictures[1][:16, :16])
    assert not np.array_equal(columns[0], columns[2])


def test_interpolation_goes_from_one_seed_to_the_other(finished, tmp_path):
    run_dir, _ = finished
    pictures = []
    for name, more in (
        ("way", ["--interpolate=4,5", "--columns=5"]),
        ("start", ["--seed=4", "--columns=1"]),
        ("end", ["--seed=5", "--columns=1"]),
    ):
        output = tmp_path / f"{name}.png"
        code, _, err = run(
            "sample", f"--run_dir={run_dir}", "--labels=9", f"--output={output}", *more
        )
        assert code == 0, err
        pictures.append(picture(output).astype(int))
    way, first, last = pictures
    assert way.shape == (16, 5 * 17 - 1)
    np.testing.assert_allclose(way[:, :16], first, atol=1)
    np.testing.assert_allclose(way[:, -16:], last, atol=1)


def test_labels_outside_the_classes_are_named(finished):
    run_dir, _ = finished
    result = run("sample", f"--run_dir={run_dir}", "--labels=3,10")
    assert_one_line(result, 2, "--labels must be numbers in 0...9. Received: 10")
