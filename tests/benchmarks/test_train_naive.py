"""The SAGAN of stock parts leaves a run directory like ours, and is scored by its averages."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import time

import forks
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks.keras_naive.method import NAIVE, NaiveState, load_generator
from benchmarks.keras_naive.model import NaiveGan
from keras_sagan.config import Config
from keras_sagan.errors import RunError
from keras_sagan.evaluation.scorer import Settings
from keras_sagan.evaluation.scoring import evaluate_run
from keras_sagan.extractors import trained
from keras_sagan.metrics.protocol import NATIVE
from keras_sagan.runs.checkpoints import Checkpoints
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.sampling.sampler import latents_of, make_sampler
from keras_sagan.training.run import train
from keras_sagan.values import CheckpointChoice, ExtractorChoice
from keras_sagan.visual.grid import make_grid

ROOT = pathlib.Path(__file__).parents[2]
SMALL = Config(
    image_size=16,
    image_channels=1,
    z_dim=4,
    g_channels=2,
    d_channels=2,
    batch_size=4,
    # Averages and weights are to differ by what is seen in 8 bits.
    g_lr=0.02,
    ema_start=10,
    total_steps=20,
    log_every=5,
    sample_every=10,
    checkpoint_every=10,
    keep_checkpoints=1000,
)


def start(name, *flags):
    return subprocess.Popen(
        [forks.executable(), "-m", f"benchmarks.{name}", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )


def run(name, *flags):
    process = start(name, *flags)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def flags_of(config):
    return [f"--{name}={value}" for name, value in dataclasses.asdict(config).items()]


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return dataclasses.replace(SMALL, data_dir=str(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, config):
    """A run that was killed and taken on by 10 steps; the step of its newest checkpoint then."""
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    long = dataclasses.replace(config, total_steps=100_000)
    process = start("train_naive", f"--run_dir={run_dir}", *flags_of(long))
    deadline = time.monotonic() + 600
    while not (run_dir / "checkpoints" / "checkpoint").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed = int(tf.train.latest_checkpoint(run_dir / "checkpoints").rpartition("-")[2])
    more = dataclasses.replace(config, total_steps=killed + 10)
    code, out, err = run("train_naive", f"--run_dir={run_dir}", *flags_of(more))
    assert code == 0, err
    assert out == f"trained to step {killed + 10}: checkpoints, samples and records in {run_dir}\n"
    return run_dir, killed


@pytest.mark.slow
def test_a_killed_run_resumes_from_its_checkpoint_to_the_last_step(finished):
    run_dir, killed = finished
    environment = json.loads((run_dir / "environment.json").read_text())
    assert environment["step"] == killed
    assert [before["step"] for before in environment["earlier"]] == [0]
    config = Config.from_json((run_dir / "config.json").read_text())
    state = NaiveState.create(config)
    assert Checkpoints(run_dir / "checkpoints", state, 1000).restore().step == killed + 10
    assert int(state.d_optimizer.iterations.numpy()) == killed + 10


@pytest.mark.slow
def test_the_run_directory_is_like_ours(finished):
    run_dir, killed = finished
    lines = rows(run_dir / "train.jsonl")
    assert [row["step"] for row in lines] == list(range(5, killed + 11, 5))
    spent = np.diff([row["seconds"] for row in lines])
    assert spent.min() > 0
    assert spent[killed // 5 - 1] > 3 * np.median(spent)  # Where the second start compiled.
    assert set(lines[-1]) == {
        "step",
        "seconds",
        "d_loss",
        "g_loss",
        "gamma/g_attention_8",
        "gamma/d_attention_8",
        "steps_per_s",
        "images_per_s",
    }
    assert lines[-1]["gamma/d_attention_8"] != 0
    assert lines[-1]["images_per_s"] == pytest.approx(4 * lines[-1]["steps_per_s"])
    steps = range(10, killed + 11, 10)
    checkpoints = {path.stem for path in (run_dir / "checkpoints").glob("*.index")}
    assert checkpoints == {f"step-{step}" for step in steps}
    samples = {path.name for path in (run_dir / "samples").iterdir()}
    assert samples == {f"step_{step:07d}.png" for step in steps}
    environment = json.loads((run_dir / "environment.json").read_text())
    assert {"command", "commit", "data", "devices", "packages"} < set(environment)


def weights_of(run_dir, step, ema):
    config = Config.from_json((run_dir / "config.json").read_text())
    network, found = load_generator(config, str(run_dir / "checkpoints" / f"step-{step}"), ema)
    assert found == step
    return network, [weight.numpy() for weight in network.trainable_variables]


@pytest.mark.slow
def test_averages_are_the_weights_until_they_start_and_lag_behind_after(finished):
    run_dir, killed = finished
    (_, start), (_, raw) = (weights_of(run_dir, 10, ema) for ema in (True, False))
    for average, weight in zip(start, raw, strict=True):
        np.testing.assert_array_equal(average, weight)
    (_, end), (_, raw) = (weights_of(run_dir, killed + 10, ema) for ema in (True, False))
    for before, average, weight in zip(start, end, raw, strict=True):
        assert np.abs(average - before).max() < 0.01 * np.abs(weight - before).max()


@pytest.mark.slow
def test_samples_are_drawn_by_the_averaged_weights(finished):
    run_dir, killed = finished
    latents = latents_of(0, 512, 4)[:80]
    labels = np.repeat(np.arange(10, dtype=np.int32), 8)
    grids = {}
    for ema in (True, False):
        network, _ = weights_of(run_dir, killed + 10, ema)
        grids[ema] = make_grid(make_sampler(network)(latents, labels), 8)[..., 0]
    saved = np.asarray(Image.open(run_dir / "samples" / f"step_{killed + 10:07d}.png"))[::4, ::4]
    np.testing.assert_array_equal(saved, grids[True])
    assert (saved != grids[False]).mean() > 0.1


def test_sampling_leaves_the_weights_that_are_trained_alone():
    gan = NaiveState.create(dataclasses.replace(SMALL, num_classes=3)).gan
    gan.restart_averages()
    before = gan.generator.get_weights()
    gan.g_optimizer._model_variables_moving_average[0].assign_add(
        tf.ones(gan.generator.trainable_variables[0].shape)
    )
    with gan.averaged():
        inside = gan.generator.trainable_variables[0].numpy()
    np.testing.assert_allclose(inside - gan.generator.trainable_variables[0].numpy(), 1, rtol=1e-5)
    for weight, old in zip(gan.generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.slow_except("True-2.0")
@pytest.mark.parametrize(("ema", "value"), [(True, 2.0), (False, 3.0)])
def test_scores_are_of_the_averaged_weights_if_asked(tmp_path, two_replicas, ema, value):
    config = dataclasses.replace(SMALL, num_classes=3)
    state = NaiveState.create(config)
    for number in (2.0, 3.0):
        for weight in state.generator.trainable_variables:
            weight.assign(tf.fill(weight.shape, number))
        if number == 2.0:
            state.gan.restart_averages()
    path = Checkpoints(tmp_path, state, 1).save()
    with two_replicas.scope():  # As a checkpoint is scored.
        network, _ = load_generator(config, path, ema)
    for weight in network.trainable_variables:
        for copy in two_replicas.experimental_local_results(weight.value):
            np.testing.assert_array_equal(copy.numpy(), np.full(weight.shape, value))


@pytest.mark.slow
def test_scores_of_all_checkpoints_are_rows_of_metrics_jsonl(finished, config):
    run_dir, killed = finished
    sha256 = json.loads((run_dir / "environment.json").read_text())["data"]["sha256"]
    path = pathlib.Path(config.data_dir) / "classifiers" / f"{sha256[:16]}-v1.npz"
    path.parent.mkdir()
    weights = trained.build_network((16, 16, 1), 10).get_weights()
    named = {f"weight_{i}": weight for i, weight in enumerate(weights)}
    np.savez(path, test_accuracy=0.5, **named)  # As if it had been trained.
    given = ("--checkpoint=all", "--num_samples=100", f"--run_dir={run_dir}")
    code, out, err = run("evaluate_naive", *given)
    assert code == 0, err
    assert out.startswith(f"curve of {run_dir}\n")
    found = [row for row in rows(run_dir / "metrics.jsonl") if row["metric"].startswith("fd100/")]
    assert [row["step"] for row in found] == list(range(10, killed + 11, 10))
    assert {row["weights"] for row in found} == {"ema"}
    for ema in (True, False):
        value = scored_here(run_dir, killed + 10, ema)
        assert (value == pytest.approx(found[-1]["value"], rel=1e-4)) == ema


def scored_here(run_dir, step, ema):
    settings = Settings(
        extractors=(ExtractorChoice("classifier"),),
        protocol=NATIVE,
        count=100,
        batch_size=64,
        strategy="mirrored",
        replicas=1,
        checkpoint=CheckpointChoice((step,)),
        ema=ema,
        batch_norm="moving",
        seed=0,
        real_statistics=None,
        save_statistics=None,
    )
    run = RunDirectory(run_dir)
    found = evaluate_run(run, run.read_config(), settings, load_generator).scores
    return next(row["value"] for row in found[step] if row["metric"].startswith("fd100/"))


@pytest.fixture
def eager():
    """Runs functions without tracing them, which takes longer than few steps do."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
@pytest.mark.filterwarnings("ignore:Even though the .*run_functions_eagerly")
def test_a_run_out_of_time_ends_with_record_samples_and_checkpoint(tmp_path, config):
    config = dataclasses.replace(config, total_minutes=1e-6)
    result = train(config, tmp_path, NAIVE)
    assert [row["step"] for row in rows(result.path / "train.jsonl")] == [5]
    assert [path.stem for path in (tmp_path / "checkpoints").glob("*.index")] == ["step-5"]
    assert [path.name for path in result.samples.iterdir()] == ["step_0000005.png"]


@pytest.mark.slow
def test_losses_that_are_not_finite_end_the_run(tmp_path, config, monkeypatch):
    bad = {"d_loss": tf.constant(1.0), "g_loss": tf.constant(np.nan)}

    def make_train_function(gan):
        gan.train_function = lambda data: bad

    monkeypatch.setattr(NaiveGan, "make_train_function", make_train_function)
    with pytest.raises(RunError, match="finite losses .* g_loss=nan of the generator"):
        train(config, tmp_path, NAIVE)
    assert not (tmp_path / "train.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "given", "part"),
    [
        ("train", ["--d_steps=2"], "d_steps=1. Received: d_steps=2"),
        ("train", ["--loss=non_saturating", "--flip"], "Received: flip=True, loss=non_saturating"),
        ("train", ["--eval_every=5", "--replicas=2"], "Received: replicas=2, eval_every=5"),
        ("evaluate", ["--bn=standing"], "--bn must be moving for keras_naive. Received: standing"),
    ],
)
def test_what_stock_parts_cannot_do_is_refused_in_one_line(tmp_path, name, given, part):
    code, out, err = run(f"{name}_naive", f"--run_dir={tmp_path / 'run'}", *given)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert part in err
    assert not (tmp_path / "run").exists()


def test_fine_tuning_is_refused(tmp_path):
    given = [f"--run_dir={tmp_path}", "--init_from=preset:digits", "--freeze_d=1"]
    code, _, err = run("train_naive", *given)
    assert code == 2
    expected = "supports only init_from=, freeze_d=0. Received: init_from=preset:digits, freeze_d=1"
    assert expected in err.splitlines()[-1]
