"""`SAGAN.fit`: the weights of `train`, exact resume, callbacks and replicas."""

import keras
import numpy as np
import pytest
import smallest
import tensorflow as tf

import keras_sagan as ks
from keras_sagan.config import Config
from keras_sagan.data.batches import shares
from keras_sagan.data.prepared import Prepared
from keras_sagan.training.run import train

TINY = smallest.NETWORKS | {"batch_size": 4, "ema_start": 2, "ema_decay": 0.9}
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (10, 16, 16, 1), np.uint8)
LABELS = RNG.integers(0, 3, 10)
MEANS = ("d_loss", "g_loss", "d_logits_mean_real", "d_logits_mean_fake", "d_logits_std_real")
MEANS += ("d_logits_std_fake", "d_logits_sign_real", "d_gradient_norm", "g_gradient_norm")
NAMES = (*MEANS, "gamma/g_attention_8", "gamma/d_attention_8")
ONE = {"steps_per_epoch": 1, "verbose": 0}


def variables(gan):
    parts = gan.generator, gan.discriminator, gan.ema_generator, gan.g_optimizer, gan.d_optimizer
    return [*(variable for part in parts for variable in part.variables), gan.state.step]


def values(gan):
    """Every variable of a model and of its optimizers, and its step."""
    return [np.array(variable.numpy()) for variable in variables(gan)]


def assert_equal(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


class Timed(keras.callbacks.Callback):
    """Keeps all variables after each epoch, and may end a fit as a kill does."""

    def __init__(self, kill_after=None):
        super().__init__()
        self.kill_after, self.kept = kill_after, []

    def on_epoch_end(self, epoch, logs=None):
        self.kept.append(values(self.model))
        if epoch + 1 == self.kill_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def gan():
    """A model of three classes that runs eagerly, which saves tracing."""
    gan = ks.SAGAN(**TINY, num_classes=3)
    gan.compile(run_eagerly=True)
    return gan


@pytest.fixture(scope="module")
def fresh(gan):
    return values(gan)


@pytest.fixture
def restart(gan, fresh):
    """Function that gives the model its first weights again."""

    def restart():
        for variable, value in zip(variables(gan), fresh, strict=True):
            variable.assign(value)

    restart()
    return restart


@pytest.fixture(scope="module")
def straight(gan, fresh):
    """The history of four epochs of one step, and all variables after each."""
    del fresh
    kept = Timed()
    history = gan.fit(IMAGES, LABELS, epochs=4, callbacks=[kept], **ONE).history
    return history, kept.kept


def test_history_has_the_names_of_train_jsonl(straight):
    history, kept = straight
    assert set(history) == set(NAMES)
    assert all(len(history[name]) == 4 and np.isfinite(history[name]).all() for name in NAMES)
    assert [each[-1] for each in kept] == [1, 2, 3, 4]
    assert history["gamma/d_attention_8"][-1] != 0


def test_means_are_of_one_epoch(gan, straight):
    """Keras resets the metrics that it knows when an epoch begins."""
    assert {metric.name for metric in gan.metrics} == {"loss", *MEANS}


def test_a_step_is_that_of_the_loop_of_train(gan, restart, straight):
    prepared = type("Prepared", (), {"images": IMAGES, "labels": LABELS.astype(np.int32)})
    batches = iter(shares(tf.distribute.InputContext(), prepared, 4, gan.config.seed, 0))
    for _ in range(2):
        gan.game.play([next(batches)], gan.state.step.read_value())
        gan.state.step.assign_add(1)
    assert_equal(values(gan), straight[1][1])


def test_a_killed_fit_resumes_to_the_same_bits(gan, restart, straight, tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    with pytest.raises(KeyboardInterrupt):
        gan.fit(IMAGES, LABELS, epochs=4, callbacks=[backup, Timed(2)], **ONE)
    restart()
    gan.fit(IMAGES, LABELS, epochs=4, callbacks=[backup], **ONE)
    assert_equal(values(gan), straight[1][-1])
    gan._initial_epoch = None


@pytest.mark.slow
def test_weights_and_a_saved_model_continue_exactly(gan, restart, straight, tmp_path):
    path = tmp_path / "best.weights.h5"
    save = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    gan.fit(IMAGES, LABELS, epochs=2, callbacks=[save], **ONE)
    gan.save(tmp_path / "gan.keras")
    gan.fit(IMAGES, LABELS, epochs=3, initial_epoch=2, **ONE)
    gan.load_weights(path)
    assert_equal(values(gan), straight[1][1])
    loaded = ks.load(tmp_path / "gan.keras")
    assert loaded.config == gan.config
    loaded.fit(IMAGES, LABELS, epochs=4, initial_epoch=2, **ONE)
    assert_equal(values(loaded), straight[1][-1])


@pytest.mark.slow
def test_datasets_are_batched_anew(gan, restart, straight):
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES[:8], LABELS[:8]))
    gan.fit(dataset, verbose=0)
    assert int(gan.state.step) == 2
    single = values(gan)
    restart()
    batched = dataset.batch(3)
    batched.class_names = ["ant", "bee", "cat"]  # As `image_dataset_from_directory` has them.
    gan.fit(batched, verbose=0)
    assert_equal(values(gan), single)
    np.testing.assert_array_equal(gan.generate("bee", 5), gan.generate(1, 5))


def test_callbacks_change_both_learning_rates_and_write_grids(gan, restart, tmp_path):
    plateau = keras.callbacks.ReduceLROnPlateau(
        "g_loss", 0.5, patience=1, mode="min", min_delta=1e9
    )
    board = keras.callbacks.TensorBoard(tmp_path / "tensorboard")
    grid = ks.callbacks.SampleGrid(tmp_path / "samples", every=2, columns=2)
    history = gan.fit(IMAGES, LABELS, epochs=2, callbacks=[plateau, board, grid], **ONE).history
    assert history["learning_rate_g_optimizer"] == pytest.approx([1e-4, 1e-4])
    assert float(gan.g_optimizer.learning_rate) == pytest.approx(5e-5)
    assert float(gan.d_optimizer.learning_rate) == pytest.approx(2e-4)
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["epoch_0002.png"]
    assert any((tmp_path / "tensorboard").rglob("events*"))


def test_a_grid_that_cannot_be_drawn_fails_before_training(gan, restart, tmp_path):
    grid = ks.callbacks.SampleGrid(tmp_path, labels=[0, 1, 2], columns=2)
    with pytest.raises(ValueError, match="full rows of 2 images. Received: 3 images"):
        gan.fit(IMAGES, LABELS, callbacks=[grid], verbose=0)
    assert int(gan.state.step) == 0


def test_data_that_do_not_fit_are_refused_before_training(gan, restart):
    with pytest.raises(ValueError, match="labels within the dataset"):
        gan.fit(tf.data.Dataset.from_tensor_slices(IMAGES), LABELS)
    with pytest.raises(ValueError, match="epochs of at least 1"):
        gan.fit(IMAGES, LABELS, epochs=0)
    with pytest.raises(ValueError, match="steps_per_epoch of at least 1"):
        gan.fit(IMAGES, LABELS, steps_per_epoch=0)
    with pytest.raises(NotImplementedError, match="score"):
        gan.evaluate(IMAGES)


def test_a_late_mistake_in_a_dataset_ends_fit_in_one_line(gan, restart):
    labels = np.append(LABELS[:-1], 3)
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
    with pytest.raises(ValueError, match=r"^expected labels in 0\.\.\.2\. Received: \[3\]$"):
        gan.fit(dataset.repeat(2), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"d_steps": 2, "flip": True, "fake_labels": "data"} | smallest.DCGAN,
        {"reuse_fakes": True} | smallest.DCGAN,
        {"reuse_fakes": True, "d_steps": 2, "precision": "mixed_bfloat16"},
    ],
    ids=["d_steps", "reuse_fakes", "bfloat16"],
)
def test_fit_and_train_make_the_same_weights(options, tmp_path):
    steps, data_dir = 5, str(tmp_path / "data")
    config = Config(**TINY | options, total_steps=steps, data_dir=data_dir, jit_compile="off")
    run = train(config, tmp_path / "run")
    trained = ks.SAGAN.from_run(run.path, "newest")
    (folder,) = (tmp_path / "data" / "prepared").glob("digits*")
    prepared, gan = Prepared(folder), ks.SAGAN(**TINY | options | {"num_classes": 10})
    start = values(gan)
    context = tf.distribute.InputContext()
    batches = shares(context, prepared, config.batch_size, config.seed, 0)
    batches = batches.take(steps * config.d_steps)
    history = gan.fit(batches, class_counts=prepared.record["counts"], verbose=0).history
    assert_equal(values(gan), values(trained))
    row = run.last_row("train.jsonl")
    assert set(history) <= set(row)
    for name in {name for name in row if name.startswith("gamma/")}:
        assert history[name] == [row[name]]
    for variable, value in zip(variables(gan), start, strict=True):
        variable.assign(value)
    gan.fit(prepared.images, prepared.labels, steps_per_epoch=steps, verbose=0)
    assert_equal(values(gan), values(trained))


@pytest.mark.slow
def test_two_replicas_train_as_one(two_replicas, tmp_path):
    fields = TINY | smallest.DCGAN | {"num_classes": 3, "d_steps": 2, "sync_batch_norm": True}
    with two_replicas.scope():
        both = ks.SAGAN(**fields)
    one = ks.SAGAN(**fields)
    histories = [each.fit(IMAGES, LABELS, epochs=2, verbose=0).history for each in (one, both)]
    for name in MEANS:
        np.testing.assert_allclose(*(each[name] for each in histories), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        one.discriminator.get_weights()[0], both.discriminator.get_weights()[0], atol=1e-3
    )
    both.save(tmp_path / "both.keras")
    images = both.generate([0, 1], 0)
    np.testing.assert_array_equal(ks.load(tmp_path / "both.keras").generate([0, 1], 0), images)
    served = tf.saved_model.load(str(both.export(tmp_path / "served")))
    found = served.signatures["serving_default"](
        labels=tf.constant([0, 1], tf.int64), seeds=tf.constant([0, 0], tf.int64)
    )
    assert np.abs(found["images"].numpy() - images.astype(int)).max() <= 1


@pytest.mark.slow
def test_compiled_steps_differ_by_rounding_only():
    gan, losses = ks.SAGAN(**TINY, **smallest.DCGAN, num_classes=3), []
    start = values(gan)
    for jit_compile in (False, True):
        for variable, value in zip(variables(gan), start, strict=True):
            variable.assign(value)
        gan.compile(jit_compile=jit_compile)
        losses.append(gan.fit(IMAGES, LABELS, verbose=0).history["d_loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
