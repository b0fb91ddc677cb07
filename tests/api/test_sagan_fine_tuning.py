"""`SAGAN` that starts with the weights of another model, and with frozen blocks."""

import shutil

import numpy as np
import pytest
import smallest
from sources import make_source, values

import keras_sagan as ks
from keras_sagan.config import Config
from keras_sagan.errors import UsageError

TINY = smallest.NETWORKS | smallest.DCGAN | {"batch_size": 4}
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1), np.uint8)
LABELS = np.arange(8) % 3


def test_a_model_starts_with_a_run_and_is_saved_and_loaded_without_it(tmp_path):
    run, theirs = make_source(tmp_path / "source", Config(**TINY, num_classes=3))
    gan = ks.SAGAN(**TINY, num_classes=3, init_from=str(run.path), freeze_d=1)
    found = values(gan.state)
    for name in theirs:
        np.testing.assert_array_equal(found[name], theirs[name])
    assert (int(gan.state.step.numpy()), int(gan.g_optimizer.iterations)) == (0, 0)
    shutil.rmtree(run.path)
    gan.compile(run_eagerly=True)
    gan.fit(IMAGES, LABELS, steps_per_epoch=1, verbose=0)
    gan.save(tmp_path / "gan.keras")
    trained, loaded = values(gan.state), ks.load(tmp_path / "gan.keras")
    same = {name for name in trained if np.array_equal(trained[name], theirs[name])}
    assert same == {f"discriminator: discriminator/conv_8/{name}" for name in ("kernel", "bias")}
    for name, value in values(loaded.state).items():
        np.testing.assert_array_equal(value, trained[name])
    loaded.fit(IMAGES, LABELS, steps_per_epoch=1, verbose=0)
    assert not same - {n for n, v in values(loaded.state).items() if np.array_equal(v, theirs[n])}
    names = [[v.path for v in each.d_optimizer.variables] for each in (gan, loaded)]
    assert names[0] == names[1]


def test_a_model_of_other_classes_warns_of_new_variables(tmp_path):
    run, _ = make_source(tmp_path / "source", Config(**TINY, num_classes=3))
    with pytest.warns(UserWarning, match=r"^starts with .*; 4 variables .* has 3 .* model has 0$"):
        ks.SAGAN(**TINY, init_from=str(run.path))
    with pytest.raises(UsageError, match="it needs z_dim=4. Received: z_dim=5"):
        ks.SAGAN(**TINY | {"z_dim": 5}, init_from=str(run.path))
    with pytest.raises(UsageError, match="init_from=preset:a: expected a preset"):
        ks.SAGAN(**TINY, init_from="preset:a")


@pytest.mark.slow
def test_two_replicas_start_alike(two_replicas, tmp_path):
    run, theirs = make_source(tmp_path / "source", Config(**TINY, num_classes=3))
    with two_replicas.scope():
        gan = ks.SAGAN(**TINY, num_classes=3, init_from=str(run.path))
    for name, value in values(gan.state).items():
        np.testing.assert_array_equal(value, theirs[name])
