"""A file of the released code's numbers, our networks with its weights, and how far both are off.

The measure is the float64 value: what our plain form computes under the dtype policy float64. The
released code, in float32, is some rounding away from it. We must not be further away than 1.5 times
that, for each output, with the relative L2 distance as the error.

Where the released code is closer than `FLOOR`, by chance or because an output has few numbers, it
counts as that far away. `FLOOR` is 16 roundings of float32: as much as 256 roundings add up to if
they are independent, and a pass through a network has hundreds in a row.

A gradient jumps where a rounding turns a ReLU on or off, so its floor is measured: the largest
relative change of any tensor's float64 gradient when weights and inputs move by up to `FLOOR`.
"""

import functools
import json

import numpy as np
import tensorflow as tf
from released import discriminator_variables, generator_variables

from keras_sagan import losses, networks

FACTOR = 1.5
FLOOR = 16 * 2.0**-24
MOVES = 4
# A gradient of a smaller norm is zero but for rounding, and not compared.
SMALLEST_NORM = 1e-6


class Pair:
    """Our two networks with the weights of a file.

    Args:
        arrays: dict, the file's content.
        policy: dtype policy of the networks.
        generator_arguments: of `networks.sagan.generator`, beside those that the file decides.
    """

    def __init__(self, arrays, fast, policy="float32", **generator_arguments):
        meta = json.loads(str(arrays["meta"]))
        attends = any("non_local" in key for key in arrays)
        arguments = {
            "image_size": meta["image_size"],
            "num_classes": meta["num_classes"],
            "attention": [meta["attention_resolution"]] if attends else [],
            "fast": fast,
        }
        with networks.dtype_policy(policy):
            self.generator = networks.sagan.generator(
                channels=meta["g_channels"], z_dim=meta["z_dim"], **arguments, **generator_arguments
            )
            self.discriminator = networks.sagan.discriminator(
                channels=meta["d_channels"], **arguments
            )
        self.g_variables = generator_variables(self.generator)
        self.d_variables = discriminator_variables(self.discriminator)
        self.assign(arrays)

    def assign(self, arrays):
        """Takes weights and inputs from `arrays`."""
        for name, variable in (self.g_variables | self.d_variables).items():
            variable.assign(arrays[f"var/model/{name}:0"].reshape(variable.shape))
        inputs = {key: value for key, value in arrays.items() if key.startswith("in/")}
        self.latents, self.fake_labels, self.real, self.real_labels, self.fake = (
            tf.constant(inputs[f"in/{name}"])
            for name in ("z", "labels_fake", "real", "labels_real", "fake")
        )

    def generate(self, **call):
        return self.generator(self.latents, self.fake_labels, **call)

    def judge_real(self, advance_u=False):
        return self.discriminator(self.real, self.real_labels, training=True, advance_u=advance_u)

    def judge_fake(self):
        return self.discriminator(self.fake, self.fake_labels, training=True, advance_u=False)

    def d_loss_and_gradients(self):
        """The discriminator's loss, and a dict from name in the released code to gradient."""
        with tf.GradientTape() as tape:
            loss = losses.discriminator_hinge(self.judge_real(), self.judge_fake())
        return loss, gradients(tape, loss, self.discriminator, self.d_variables)

    def g_loss_and_gradients(self):
        with tf.GradientTape() as tape:
            fakes = self.generate(training=True, advance_u=False)
            logits = self.discriminator(fakes, self.fake_labels, training=True, advance_u=False)
            loss = losses.generator_hinge(logits)
        return loss, gradients(tape, loss, self.generator, self.g_variables)


def gradients(tape, loss, network, variables):
    names = {id(variable): name for name, variable in variables.items()}
    found = tape.gradient(loss, network.trainable_variables)
    pairs = zip(network.trainable_variables, found, strict=True)
    return {names[id(variable)]: gradient.numpy() for variable, gradient in pairs}


class Golden:
    """One file, the float64 values of its outputs, and the comparison of ours."""

    def __init__(self, path):
        with np.load(path, allow_pickle=False) as arrays:
            self.arrays = dict(arrays)
        self.pairs = {}
        # Gradients are compared where u is converged: the released code differentiates through the
        # power iteration, ours does not, and there the two agree.
        self.is_converged = json.loads(str(self.arrays["meta"]))["singular_vectors"] != "random"

    def pair(self, fast):
        """Our networks, with the weights of the file; one pair for all tests."""
        if fast not in self.pairs:
            self.pairs[fast] = Pair(self.arrays, fast)
        self.pairs[fast].assign(self.arrays)
        return self.pairs[fast]

    @functools.cached_property
    def exact_pair(self):
        return Pair(self.arrays, fast=False, policy="float64")

    @functools.cached_property
    def exact(self):
        """Float64 values by the names that the file has for them, without gradients."""
        pair = self.exact_pair
        pair.assign(self.arrays)
        outputs = {"G_eval": pair.generate(), "D_fake": pair.judge_fake()}
        outputs["G_train"] = pair.generate(training=True, advance_u=True)
        outputs["D_real"] = pair.judge_real(advance_u=True)
        for after, variables in (
            ("after_G_train", pair.g_variables),
            ("after_D_real", pair.d_variables),
        ):
            outputs |= {f"{after}/model/{name}:0": value for name, value in variables.items()}
        outputs = {name: np.asarray(value) for name, value in outputs.items()}
        assert {value.dtype for value in outputs.values()} == {np.dtype("float64")}
        return outputs

    @functools.cached_property
    def exact_gradients(self):
        """Kind, as "d" or "g", to the float64 loss and gradients."""
        return self.gradients_at(self.arrays)

    def gradients_at(self, arrays):
        self.exact_pair.assign(arrays)
        d_loss, d_gradients = self.exact_pair.d_loss_and_gradients()
        g_loss, g_gradients = self.exact_pair.g_loss_and_gradients()
        return {"d": (d_loss.numpy(), d_gradients), "g": (g_loss.numpy(), g_gradients)}

    @functools.cached_property
    def gradient_floors(self):
        """Kind to the largest relative change of a gradient as weights and inputs move."""
        floors = {"d": FLOOR, "g": FLOOR}
        for seed in range(MOVES):
            moved = self.gradients_at(moved_by_rounding(self.arrays, seed))
            for kind, (_, exact) in self.exact_gradients.items():
                changes = (distance(moved[kind][1][name], exact[name]) for name in compared(exact))
                floors[kind] = max(floors[kind], *changes)
        return floors

    def assert_close(self, name, value):
        """Ours of the output `name` is no further from the float64 value than is allowed."""
        self.compare(name, value, self.exact[name], FLOOR)

    def assert_gradients_close(self, kind, loss, found):
        exact_loss, exact = self.exact_gradients[kind]
        self.compare(f"{kind}_loss", loss, exact_loss, FLOOR)
        keys = {f"{kind}_grad/model/{name}:0": name for name in found}
        assert keys.keys() == {
            key.removeprefix("out/") for key in self.arrays if key.startswith(f"out/{kind}_grad/")
        }
        names = compared(exact)
        assert len(names) > len(keys) / 2
        for key, name in keys.items():
            if name in names:
                self.compare(key, found[name], exact[name], self.gradient_floors[kind])

    def compare(self, name, value, exact, floor):
        theirs = distance(self.arrays[f"out/{name}"], exact)
        ours, most = distance(value, exact), FACTOR * max(theirs, floor)
        assert ours <= most, f"{name}: {ours:.2e}, at most {most:.2e}; released code: {theirs:.2e}"


load = functools.cache(Golden)


def compared(exact):
    """Names of the gradients that are more than rounding."""
    return {name for name, value in exact.items() if np.linalg.norm(value) >= SMALLEST_NORM}


def distance(value, exact):
    """Relative L2 distance of `value` from `exact`."""
    value = np.asarray(value, "float64").reshape(exact.shape)
    return np.linalg.norm(value - exact) / np.linalg.norm(exact)


def moved_by_rounding(arrays, seed):
    """Weights and inputs, each times a random factor that is 1 but for at most `FLOOR`."""
    numbers = np.random.default_rng(seed)
    return {
        key: value.astype("float64") * (1 + FLOOR * numbers.uniform(-1, 1, value.shape))
        if key.startswith(("var/", "in/")) and value.dtype == np.float32
        else value
        for key, value in arrays.items()
    }
