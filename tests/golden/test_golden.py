"""Our networks against the released TensorFlow 1 code, run unmodified on TensorFlow 1.15.5.

Every file of `--golden_dir` (this folder by default) holds weights, inputs, outputs, gradients and
advanced variables of that code. Gradients are compared where u is converged: the released code
differentiates through the power iteration, ours does not, and there the two agree.
"""

import json

import numpy as np
import pytest
import tensorflow as tf
from released import discriminator_variables, generator_variables

from keras_sagan import losses, networks
from keras_sagan.config import Config

STATISTICS = ("mean", "var", "moving_mean", "moving_variance")


class Golden:
    """One file, and our two networks with its weights."""

    def __init__(self, file, **settings):
        with np.load(file, allow_pickle=False) as arrays:
            self.arrays = dict(arrays)
        self.meta = json.loads(str(self.arrays["meta"]))
        attends = any("non_local" in key for key in self.arrays)
        attention = str(self.meta["attention_resolution"]) if attends else "none"
        config = Config(
            image_size=self.meta["image_size"],
            z_dim=self.meta["z_dim"],
            num_classes=self.meta["num_classes"],
            g_channels=self.meta["g_channels"],
            d_channels=self.meta["d_channels"],
            g_attention=attention,
            d_attention=attention,
            **settings,
        )
        self.generator = networks.generator(config)
        self.discriminator = networks.discriminator(config)
        self.g_variables = generator_variables(self.generator)
        self.d_variables = discriminator_variables(self.discriminator)
        for name, variable in (self.g_variables | self.d_variables).items():
            variable.assign(self.arrays[f"var/model/{name}:0"].reshape(variable.shape))

    def inputs(self, *names):
        return [tf.constant(self.arrays[f"in/{name}"]) for name in names]

    def assert_output(self, name, value):
        expected = self.arrays[f"out/{name}"]
        np.testing.assert_allclose(np.reshape(value, expected.shape), expected, rtol=0, atol=1e-5)

    def assert_advanced(self, after, variables):
        """Advanced u and moving statistics; every other variable as it was.

        Where a file has moving statistics as they were before the call, the recorded call did not
        run the operations that move them, and the test of batch statistics stands in for it.
        """
        recorded = 0
        for name, variable in variables.items():
            before = self.arrays[f"var/model/{name}:0"]
            key = f"out/{after}/model/{name}:0"
            recorded += key in self.arrays
            expected = self.arrays.get(key, before)
            statistic = name.rpartition("/")[2] in STATISTICS
            if statistic and np.array_equal(expected, before):
                continue
            value = variable.numpy().reshape(expected.shape)
            tolerance = 1e-5 if key in self.arrays else 0
            np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance, err_msg=name)
        assert recorded == sum(key.startswith(f"out/{after}/") for key in self.arrays)

    def assert_gradients(self, kind, gradients, variables, tolerance):
        """Relative L2 distance of each tensor; those with a norm below 1e-6 are left out."""
        by_variable = {id(v): name for name, v in variables.items()}
        names = [by_variable[id(variable)] for variable, _ in gradients]
        keys = [key for key in self.arrays if key.startswith(f"out/{kind}/")]
        assert sorted(keys) == sorted(f"out/{kind}/model/{name}:0" for name in names)
        compared = 0
        for name, (_, gradient) in zip(names, gradients, strict=True):
            expected = self.arrays[f"out/{kind}/model/{name}:0"]
            norm = np.linalg.norm(expected)
            if norm < 1e-6:
                continue
            compared += 1
            distance = np.linalg.norm(np.reshape(gradient, expected.shape) - expected) / norm
            assert distance < tolerance, f"{name}: {distance:.2e} of {norm:.2e}"
        assert compared > len(keys) / 2


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def golden(golden_file, request):
    return Golden(golden_file, fast=request.param)


@pytest.fixture
def converged(golden):
    if golden.meta["singular_vectors"] == "random":
        pytest.skip("gradients are defined alike only where u is converged")
    return golden


def test_mapping_covers_every_variable_of_both_codes(golden):
    named = golden.g_variables | golden.d_variables
    theirs = {key for key in golden.arrays if key.startswith("var/")}
    assert theirs == {f"var/model/{name}:0" for name in named}
    ours = golden.generator.variables + golden.discriminator.variables
    assert {id(variable) for variable in ours} == {id(variable) for variable in named.values()}


def test_generator_by_batch_statistics(golden):
    images = golden.generator(*golden.inputs("z", "labels_fake"), training=True, advance_u=True)
    golden.assert_output("G_train", images)
    golden.assert_advanced("after_G_train", golden.g_variables)


def test_generator_by_moving_statistics(golden):
    before = [variable.numpy() for variable in golden.generator.variables]
    golden.assert_output("G_eval", golden.generator(*golden.inputs("z", "labels_fake")))
    for variable, value in zip(golden.generator.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_moving_statistics_are_those_of_the_released_batch_statistics(golden_file):
    """With decay 0 they are the last batch's, and evaluation repeats the released training call."""
    golden = Golden(golden_file, bn_momentum=0.0, bn_momentum_last=0.0)
    inputs = golden.inputs("z", "labels_fake")
    golden.generator(*inputs, training=True)
    golden.assert_output("G_train", golden.generator(*inputs, training=False))


def test_discriminator_on_fakes_keeps_u(golden):
    logits = golden.discriminator(*golden.inputs("fake", "labels_fake"), training=True)
    golden.assert_output("D_fake", logits)
    golden.assert_advanced("nothing", golden.d_variables)


def test_discriminator_on_real_images_advances_u(golden):
    images, labels = golden.inputs("real", "labels_real")
    logits = golden.discriminator(images, labels, training=True, advance_u=True)
    golden.assert_output("D_real", logits)
    golden.assert_advanced("after_D_real", golden.d_variables)


def test_discriminator_loss_and_gradients(converged):
    real, real_labels = converged.inputs("real", "labels_real")
    fake, fake_labels = converged.inputs("fake", "labels_fake")
    variables = converged.discriminator.trainable_variables
    with tf.GradientTape() as tape:
        real_logits = converged.discriminator(real, real_labels, training=True)
        fake_logits = converged.discriminator(fake, fake_labels, training=True)
        loss = losses.discriminator_hinge(real_logits, fake_logits)
    gradients = list(zip(variables, tape.gradient(loss, variables), strict=True))
    converged.assert_output("d_loss", loss)
    converged.assert_gradients("d_grad", gradients, converged.d_variables, 1e-4)


def test_generator_loss_and_gradients(converged):
    z, labels = converged.inputs("z", "labels_fake")
    variables = converged.generator.trainable_variables
    with tf.GradientTape() as tape:
        fakes = converged.generator(z, labels, training=True)
        loss = losses.generator_hinge(converged.discriminator(fakes, labels, training=True))
    gradients = list(zip(variables, tape.gradient(loss, variables), strict=True))
    converged.assert_output("g_loss", loss)
    converged.assert_gradients("g_grad", gradients, converged.g_variables, 5e-3)
