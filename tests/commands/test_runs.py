"""Whole runs, as a user starts, kills, resumes, checks and samples them."""

import fcntl
import json
import re
import signal
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from process import TINY, assert_one_line, run, start

from keras_sagan.config import Config


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def flags(run_dir, data_dir, *more):
    return [f"--run_dir={run_dir}", f"--data_dir={data_dir}", *TINY, *more]


def train(run_dir, data_dir, *more):
    code, out, err = run("train", *flags(run_dir, data_dir, *more))
    assert code == 0, err
    return out, err


def digest(run_dir):
    code, out, err = run("train", "--check", f"--run_dir={run_dir}")
    assert code == 0, err
    return re.search(r"^digest: ([0-9a-f]{64})$", out, re.MULTILINE).group(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, data_dir):
    """A run of 20 steps."""
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    _, log = train(run_dir, data_dir, "--total_steps=20")
    return run_dir, log


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_run_directory_says_all_that_produced_it(finished):
    run_dir, _ = finished
    config = Config.from_json((run_dir / "config.json").read_text())
    assert (config.total_steps, config.z_dim) == (20, 4)
    environment = json.loads((run_dir / "environment.json").read_text())
    assert set(environment) >= {"started", "command", "commit", "devices", "packages", "python"}
    assert environment["packages"]["tensorflow"] == tf.__version__
    assert "--total_steps=20" in environment["command"]
    assert len(environment["devices"]) == 1


def test_records_hold_losses_gammas_and_rates(finished):
    run_dir, log = finished
    lines = rows(run_dir / "train.jsonl")
    assert [row["step"] for row in lines] == [5, 10, 15, 20]
    for row in lines:
        assert set(row) == {
            "step",
            "d_loss",
            "g_loss",
            "gamma/g_attention_8",
            "gamma/d_attention_8",
            "steps_per_s",
            "images_per_s",
        }
        assert row["images_per_s"] == pytest.approx(4 * row["steps_per_s"])
    assert lines[-1]["gamma/d_attention_8"] != 0
    assert [row["step"] for row in rows(run_dir / "scores.jsonl")] == [10, 20]
    said = [line for line in log.splitlines() if line.startswith("step ")]
    assert said
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


def test_checkpoints_hold_every_variable_and_keep_the_newest_and_the_best(tmp_path, data_dir):
    train(tmp_path, data_dir, "--total_steps=8", "--checkpoint_every=2", "--keep_checkpoints=2")
    steps = sorted(path.stem for path in (tmp_path / "checkpoints").glob("*.index"))
    assert steps == ["step-6", "step-8"]
    scores = rows(tmp_path / "scores.jsonl")
    best = min(scores, key=lambda row: row["thumbnail_fd512"])["step"]
    kept = [path.stem for path in (tmp_path / "checkpoints" / "best").glob("*.index")]
    assert kept == [f"step-{best}"]
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "checkpoints" / "step-8"))]
    parts = {name.split("/")[0] for name in names}
    assert parts >= {"generator", "discriminator", "ema_generator", "g_optimizer", "d_optimizer"}
    code, out, _ = run("train", "--check", f"--run_dir={tmp_path}")
    assert code == 0
    assert out.count("is complete and finite") == 3


def test_killed_run_resumes_to_the_same_bits(finished, tmp_path, data_dir):
    """20 steps; and 10 steps, kill -9, the same command again."""
    straight, _ = finished
    kill_and_resume(tmp_path, data_dir)
    assert digest(tmp_path) == digest(straight)
    assert losses_of(tmp_path) == losses_of(straight)


def test_killed_run_resumes_to_the_same_bits_in_mixed_bfloat16(finished, tmp_path, data_dir):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train(straight, data_dir, "--total_steps=20", "--precision=mixed_bfloat16")
    kill_and_resume(killed, data_dir, "--precision=mixed_bfloat16")
    assert digest(killed) == digest(straight) != digest(finished[0])
    assert losses_of(killed) == losses_of(straight)


def kill_and_resume(run_dir, data_dir, *more):
    process = start("train", *flags(run_dir, data_dir, "--total_steps=20", *more))
    try:
        wait_for(run_dir / "checkpoints" / "checkpoint", process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert [path.stem for path in (run_dir / "checkpoints").glob("*.index")] == ["step-10"]
    with (run_dir / "train.jsonl").open("a") as file:
        file.write('{"step": 15, "d_loss": 1}\n{"step": 1')  # As a kill may leave it.
    train(run_dir, data_dir, "--total_steps=20", *more)


def losses_of(run_dir):
    lines = rows(run_dir / "train.jsonl")
    return [(row["step"], row["d_loss"], row["g_loss"]) for row in lines]


def wait_for(path, process):
    deadline = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_finished_run_started_again_has_nothing_to_do(finished, data_dir):
    run_dir, _ = finished
    before = digest(run_dir)
    train(run_dir, data_dir, "--total_steps=20")
    assert digest(run_dir) == before


def test_other_configuration_is_refused_by_field(finished, data_dir):
    run_dir, _ = finished
    result = run("train", *flags(run_dir, data_dir, "--d_lr=0.5", "--g_channels=3"))
    assert_one_line(result, 2, "d_lr=0.0004 -> 0.5", "g_channels=2 -> 3")


def test_classes_must_be_those_of_the_data(finished, data_dir, tmp_path):
    del finished  # It has prepared the data.
    result = run("train", *flags(tmp_path, data_dir, "--num_classes=7"))
    assert_one_line(result, 2, "num_classes must be 10, the classes of digits", "Received: 7")
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


def test_broken_checkpoint_is_found(tmp_path, data_dir):
    train(tmp_path, data_dir, "--total_steps=2")
    (path,) = (tmp_path / "checkpoints").glob("step-2.data*")
    path.write_bytes(path.read_bytes()[:-200])
    for result in (
        run("train", "--check", f"--run_dir={tmp_path}"),
        run("sample", f"--run_dir={tmp_path}"),
        run("train", *flags(tmp_path, data_dir, "--total_steps=3")),
    ):
        code, _, err = result
        assert code == 1
        assert "step-2 cannot be read" in err.splitlines()[-1]
        assert "Traceback" not in err


def test_losses_that_are_not_finite_stop_the_run(tmp_path, data_dir):
    result = run("train", *flags(tmp_path, data_dir, "--d_lr=1e38", "--total_steps=20"))
    code, _, err = result
    assert code == 1
    assert "expected finite losses between steps" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_two_replicas_with_xla_train_from_the_command_line(tmp_path, data_dir):
    train(tmp_path, data_dir, "--total_steps=2", "--replicas=2", "--jit_compile=on")
    devices = json.loads((tmp_path / "environment.json").read_text())["devices"]
    assert len(devices) == 2


def picture(path):
    return np.asarray(Image.open(path))[::4, ::4]


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
    np.testing.assert_array_equal(sample("c.png", "--labels=3,7", "--columns=4"), rows_3_7)
    others = [
        sample("d.png", "--labels=3,7", "--columns=4", *more)
        for more in (["--seed=1"], ["--truncation=0.5"], ["--noema"])
    ]
    for other in others:
        assert not np.array_equal(other, rows_3_7)


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
    assert_one_line(result, 2, "--labels must be in 0...9. Received: [3, 10]")


def test_evaluation_records_its_protocol(finished):
    run_dir, _ = finished
    code, out, err = run("evaluate", f"--run_dir={run_dir}", "--num_samples=50", "--seed=3")
    assert code == 0, err
    assert re.match(r"label_accuracy50/svc: \d+\.\d% of 50 images of step 20 ", out)
    (row,) = rows(run_dir / "metrics.jsonl")
    assert row["metric"] == "label_accuracy50/svc"
    assert row["classifier_test_accuracy"] >= 0.97
    assert (row["step"], row["seed"], row["weights"]) == (20, 3, "ema")
    assert row["dataset"]["count"] == 1797
