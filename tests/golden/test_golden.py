"""Our networks against the released TensorFlow 1 code, run unmodified on TensorFlow 1.15.5.

Every file of `--golden_dir` (this folder by default) holds weights, inputs, outputs, gradients and
advanced variables of that code. `golden.py` says what is compared, and how.
"""

import numpy as np
import pytest
import tensorflow as tf
from golden import Pair, load

from keras_sagan.layers import power_iteration

STATISTICS = ("mean", "var", "moving_mean", "moving_variance")


@pytest.fixture
def golden(golden_file):
    return load(golden_file)


@pytest.fixture
def converged(golden):
    if not golden.is_converged:
        pytest.skip("gradients are defined alike only where u is converged")
    return golden


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def fast(request):
    return request.param


def assert_advanced(golden, after, variables):
    """Advanced u and moving statistics; every other variable as it was.

    Where a file has moving statistics as they were before the call, the recorded call did not
    run the operations that move them, and the test of batch statistics stands in for it.
    """
    recorded = {
        key.removeprefix("out/") for key in golden.arrays if key.startswith(f"out/{after}/")
    }
    for name, variable in variables.items():
        before = golden.arrays[f"var/model/{name}:0"]
        key = f"{after}/model/{name}:0"
        advanced = golden.arrays.get(f"out/{key}", before)
        if name.rpartition("/")[2] in STATISTICS and np.array_equal(advanced, before):
            pass
        elif key in recorded:
            golden.assert_close(key, variable)
        else:
            np.testing.assert_array_equal(variable.numpy().reshape(before.shape), before, name)
        recorded.discard(key)
    assert not recorded


def test_mapping_covers_every_variable_of_both_codes(golden):
    pair = golden.pair(fast=True)
    named = pair.g_variables | pair.d_variables
    theirs = {key for key in golden.arrays if key.startswith("var/")}
    assert theirs == {f"var/model/{name}:0" for name in named}
    ours = pair.generator.variables + pair.discriminator.variables
    assert {id(variable) for variable in ours} == {id(variable) for variable in named.values()}


@pytest.mark.slow_except(
    "fast-official_attention_converged_a", "plain-official_attention_converged_a"
)
def test_generator_by_batch_statistics(golden, fast):
    pair = golden.pair(fast)
    golden.assert_close("G_train", pair.generate(training=True, advance_u=True))
    assert_advanced(golden, "after_G_train", pair.g_variables)


def test_generator_by_moving_statistics(golden, fast):
    pair = golden.pair(fast)
    before = [variable.numpy() for variable in pair.generator.variables]
    golden.assert_close("G_eval", pair.generate())
    for variable, value in zip(pair.generator.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_moving_statistics_are_those_of_the_released_batch_statistics(golden):
    """With decay 0 they are the last batch's, and evaluation repeats the released training call."""
    pair = Pair(golden.arrays, fast=True, bn_momentum=0.0, bn_momentum_last=0.0)
    pair.generate(training=True, advance_u=False)
    golden.assert_close("G_train", pair.generate(training=False))


def test_discriminator_on_fakes_keeps_u(golden, fast):
    pair = golden.pair(fast)
    golden.assert_close("D_fake", pair.judge_fake())
    assert_advanced(golden, "nothing", pair.d_variables)


def test_discriminator_on_real_images_advances_u(golden, fast):
    pair = golden.pair(fast)
    golden.assert_close("D_real", pair.judge_real(advance_u=True))
    assert_advanced(golden, "after_D_real", pair.d_variables)


@pytest.mark.slow_except("fast-official_attention_converged_a")
def test_discriminator_loss_and_gradients(converged, fast):
    converged.assert_gradients_close("d", *converged.pair(fast).d_loss_and_gradients())


def test_generator_loss_and_gradients(converged, fast):
    converged.assert_gradients_close("g", *converged.pair(fast).g_loss_and_gradients())


@pytest.mark.parametrize("name", ["g_block1/cbn_0/gamma", "g_block3/cbn_1/mean", "g_snh0/bias"])
def test_comparison_finds_a_small_fault_in_one_weight(golden, name):
    pair = golden.pair(fast=True)
    variable = pair.g_variables[name]
    variable.assign(variable.numpy() * 1.0001)
    with pytest.raises(AssertionError, match="G_eval"):
        golden.assert_close("G_eval", pair.generate())


@pytest.mark.parametrize("kind", ["d", "g"])
def test_comparison_finds_a_gradient_that_leaves_out_sigma(converged, kind, monkeypatch):
    """Only through sigma does a gradient differ from one of a kernel that is merely scaled."""
    spectral_norm = power_iteration.spectral_norm

    def constant_sigma(*given):
        return tuple(map(tf.stop_gradient, spectral_norm(*given)))

    monkeypatch.setattr(power_iteration, "spectral_norm", constant_sigma)
    pair = converged.pair(fast=True)
    found = pair.d_loss_and_gradients() if kind == "d" else pair.g_loss_and_gradients()
    with pytest.raises(AssertionError, match=f"{kind}_grad"):
        converged.assert_gradients_close(kind, *found)
