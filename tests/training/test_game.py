"""One step of the game: who learns, from what, and how far."""

import dataclasses

import keras
import numpy as np
import pytest
import smallest
import tensorflow as tf

from keras_sagan import networks
from keras_sagan.config import Config
from keras_sagan.errors import RunError
from keras_sagan.losses import LOSSES
from keras_sagan.sampling import noise
from keras_sagan.training.draws import Conditions, Draws
from keras_sagan.training.game import GAMES
from keras_sagan.training.loop import make_train_call
from keras_sagan.training.state import State

CONFIG = Config(
    image_size=16,
    image_channels=1,
    num_classes=3,
    z_dim=6,
    g_channels=4,
    d_channels=4,
    batch_size=8,
    ema_start=0,
    ema_decay=0.75,
)
# Where it does not matter which networks play.
SIMPLE = dataclasses.replace(CONFIG, **smallest.DCGAN)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 8, 16, 16, 1), np.uint8)
LABELS = RNG.integers(0, 3, (4, 8)).astype("int32")
COUNTS = [1, 0, 4]
RATE = 0.1
ONE = tf.distribute.MirroredStrategy(["CPU:0"])


class Match:
    """A game with plain gradient descent, so that a wrong factor cannot hide behind Adam.

    Played eagerly, to save tracing, unless it is compiled or has two replicas.
    """

    def __init__(self, config=CONFIG, strategy=ONE, jit_compile=False):
        self.config, self.strategy = config, strategy
        self.eager = not jit_compile and strategy.num_replicas_in_sync == 1
        with strategy.scope():
            self.state = State.create(config)
            for network in (self.state.generator, self.state.discriminator):
                distinct(network)
            optimizers = [keras.optimizers.SGD(RATE) for _ in range(2)]
            optimizers[0].build(self.state.generator.trainable_variables)
            optimizers[1].build(self.state.discriminator.trainable_variables)
            self.state = dataclasses.replace(
                self.state, g_optimizer=optimizers[0], d_optimizer=optimizers[1]
            )
        self.game = GAMES[config.reuse_fakes](config, self.state, COUNTS, jit_compile)

    def play(self, num_steps=1):
        def shares(context):
            del context
            replicas = self.strategy.num_replicas_in_sync
            share = self.config.batch_size // replicas
            images = IMAGES.reshape(-1, share, *IMAGES.shape[2:])
            data = tf.data.Dataset.from_tensor_slices((images, LABELS.reshape(-1, share)))
            return data.repeat()

        iterator = iter(self.strategy.distribute_datasets_from_function(shares))
        train = make_train_call(self.strategy, self.game)
        tf.config.run_functions_eagerly(self.eager)
        try:
            numbers, self.bad = train(iterator, self.state.step, tf.constant(num_steps))
        finally:
            tf.config.run_functions_eagerly(False)
        return {name: float(value) for name, value in numbers.items()}

    def values(self):
        state = self.state
        return {
            f"{i}:{variable.path}": np.array(variable.numpy())
            for i, network in enumerate((state.generator, state.discriminator, state.ema_generator))
            for variable in network.variables
        }


def distinct(network):
    """Distinct weights, and a gamma that is not zero, so that every part matters."""
    draw = np.random.default_rng(1)
    for variable in network.trainable_variables:
        variable.assign_add(0.1 * draw.normal(size=variable.shape))
        if variable.path == "discriminator/logits/dense/bias":
            variable.assign_sub([14.0])  # Some logits of either kind within the hinge's margin.


def draw(config, purpose, step=0):
    seed = noise.derive_seed(tf.constant([0, config.seed]), step, purpose)
    weights = COUNTS if config.fake_labels == "data" else [1, 1, 1]
    return noise.latents_and_labels(seed, config.batch_size, config.z_dim, weights)


def plain_draws(config, purpose, step=0):
    latents, labels = draw(config, purpose, step)
    return Draws(latents, labels, tf.zeros(len(labels), tf.bool), (), ())


def flipped(images, config, purpose):
    seed = noise.derive_seed(tf.constant([0, config.seed]), 0, purpose)
    coins = noise.coins(seed, config.batch_size).numpy()
    assert 0 < coins.sum() < len(coins)
    return np.where(coins[:, None, None, None], images[:, :, ::-1], images)


@pytest.mark.slow_except("config1")
@pytest.mark.parametrize(
    "config", [CONFIG, dataclasses.replace(CONFIG, flip=True, fake_labels="data")]
)
def test_discriminator_learns_by_its_own_gradient_then_the_generator(config):
    match = Match(config)
    generator, discriminator = match.state.generator, match.state.discriminator
    d_before = [v.numpy() for v in discriminator.trainable_variables]
    g_before = [v.numpy() for v in generator.trainable_variables]
    copies = Match()
    copied_g, copied_d = copies.state.generator, copies.state.discriminator
    d_loss_of, g_loss_of = LOSSES["hinge"]
    real = IMAGES[0].astype("float32") / 127.5 - 1
    if config.flip:
        real = flipped(real, config, noise.D_STEP)
    latents, labels = draw(config, noise.D_STEP)
    fakes = copied_g(latents, labels, training=True, advance_u=False)
    with tf.GradientTape() as tape:
        real_logits = copied_d(real, LABELS[0], training=True, advance_u=True)
        fake_logits = copied_d(fakes, labels, training=True, advance_u=False)
        d_loss = d_loss_of(real_logits, fake_logits)
    # Else the hinge would hide what is wrong with an image.
    assert np.sum(real_logits < 1) >= 3
    assert np.sum(fake_logits > -1) >= 3
    d_gradients = tape.gradient(d_loss, copied_d.trainable_variables)
    for variable, gradient in zip(copied_d.trainable_variables, d_gradients, strict=True):
        variable.assign_sub(RATE * gradient)
    latents, labels = draw(config, noise.G_STEP)
    with tf.GradientTape() as tape:
        fakes = copied_g(latents, labels, training=True, advance_u=True)
        g_loss = g_loss_of(copied_d(fakes, labels, training=True, advance_u=False))
    g_gradients = tape.gradient(g_loss, copied_g.trainable_variables)

    losses = match.play()
    np.testing.assert_allclose(losses["d_loss"], d_loss, rtol=1e-5)
    np.testing.assert_allclose(losses["g_loss"], g_loss, rtol=1e-4)
    for network, before, gradients in (
        (discriminator, d_before, d_gradients),
        (generator, g_before, g_gradients),
    ):
        for variable, value, gradient in zip(
            network.trainable_variables, before, gradients, strict=True
        ):
            np.testing.assert_allclose(
                variable.numpy(),
                value - RATE * gradient,
                rtol=1e-4,
                atol=1e-5,
                err_msg=variable.path,
            )


def vectors_of(network):
    return [v.numpy() for v in network.variables if v.name == "vector_u"]


def test_singular_vectors_advance_in_their_own_network():
    """D's on the real pass of each of its turns, G's in its own step: weights stand still here."""
    match, twin = Match(dataclasses.replace(CONFIG, d_steps=2)), Match().state
    for optimizer in (match.game.d_optimizer, match.game.g_optimizer):
        optimizer.learning_rate.assign(0.0)
    match.play()
    label = tf.constant([0])
    for network, example, turns in (
        (twin.generator, tf.zeros([1, 6]), 1),
        (twin.discriminator, tf.zeros([1, 16, 16, 1]), 2),
    ):
        for _ in range(turns):
            network(example, label, advance_u=True)
    for played, expected in (
        (match.state.generator, twin.generator),
        (match.state.discriminator, twin.discriminator),
    ):
        for vector, value in zip(vectors_of(played), vectors_of(expected), strict=True):
            np.testing.assert_allclose(vector, value, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_discriminator_learns_in_each_turn_from_a_batch_of_its_own():
    match, twin = Match(dataclasses.replace(CONFIG, d_steps=2, flip=True)), Match()
    match.game.g_optimizer.learning_rate.assign(0.0)
    for turn in range(2):
        real = IMAGES[turn].astype("float32") / 127.5 - 1
        real = flipped(real, CONFIG, noise.D_STEP + turn)
        drawn = plain_draws(CONFIG, noise.D_STEP + turn)
        _, gradients, _ = twin.game.discriminator_step(real, LABELS[turn], drawn, Conditions({}))
        descend(twin.state.discriminator, gradients)
    match.play()
    for variable, expected in zip(
        match.state.discriminator.variables, twin.state.discriminator.variables, strict=True
    ):
        np.testing.assert_allclose(
            variable.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5, err_msg=variable.path
        )


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_with_reused_fakes_both_learn_from_one_pass_of_the_generator(jit_compile):
    """The second turn's: D's first turn has fakes of its own. G learns against D as it is then."""
    config = dataclasses.replace(CONFIG, d_steps=2, reuse_fakes=True)
    match, twin = Match(config, jit_compile=jit_compile), Match()
    discriminator, generator = twin.state.discriminator, twin.state.generator
    for turn in range(2):
        real = IMAGES[turn].astype("float32") / 127.5 - 1
        drawn = plain_draws(CONFIG, noise.D_STEP + turn)
        given = real, LABELS[turn]
        if turn == 0:
            _, gradients, _ = twin.game.discriminator_step(*given, drawn, Conditions({}))
        else:
            with tf.GradientTape() as tape:
                fakes = generator(drawn.latents, drawn.labels, training=True, advance_u=True)
            _, gradients, _ = twin.game.discriminator_gradients(
                *given, fakes, drawn, Conditions({})
            )
        descend(discriminator, gradients)
    with tf.GradientTape() as second:
        second.watch(fakes)
        logits = discriminator(fakes, drawn.labels, training=True, advance_u=False)
        loss = LOSSES["hinge"][1](logits)
    weights = generator.trainable_variables
    descend(generator, tape.gradient(fakes, weights, second.gradient(loss, fakes)))
    assert match.play()["g_loss"] == pytest.approx(float(loss), rel=1e-4, abs=1e-5)
    for network in ("discriminator", "generator"):
        played, expected = getattr(match.state, network), getattr(twin.state, network)
        for variable, value in zip(played.variables, expected.variables, strict=True):
            np.testing.assert_allclose(
                variable.numpy(), value.numpy(), rtol=1e-4, atol=1e-5, err_msg=variable.path
            )


def descend(network, gradients):
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        variable.assign_sub(RATE * gradient)


def test_every_turn_and_step_has_fresh_noise_and_data():
    match = Match(dataclasses.replace(SIMPLE, d_steps=2))
    seen = []
    step = match.game.discriminator_step

    def spy(images, labels, draws, *others):
        seen.append((labels.numpy(), draws.latents.numpy()))
        return step(images, labels, draws, *others)

    match.game.discriminator_step = spy
    match.play(num_steps=2)
    np.testing.assert_array_equal([labels for labels, _ in seen], LABELS)
    latents = np.stack([latents for _, latents in seen])
    assert len(np.unique(latents)) == latents.size
    assert match.state.step.numpy() == 2


def test_averaged_generator_follows_every_variable():
    match = Match(SIMPLE)
    before = [v.numpy() for v in match.state.ema_generator.variables]
    match.play()
    for average, old, variable in zip(
        match.state.ema_generator.variables, before, match.state.generator.variables, strict=True
    ):
        expected = 0.75 * old + 0.25 * variable.numpy()
        np.testing.assert_allclose(average.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_averaged_generator_copies_until_its_start():
    match = Match(dataclasses.replace(SIMPLE, ema_start=2))
    match.play(2)
    for average, variable in zip(
        match.state.ema_generator.variables, match.state.generator.variables, strict=True
    ):
        np.testing.assert_array_equal(average.numpy(), variable.numpy())
    match.play(1)
    assert any(
        not np.array_equal(average.numpy(), variable.numpy())
        for average, variable in zip(
            match.state.ema_generator.variables, match.state.generator.variables, strict=True
        )
    )


def test_loss_is_the_one_of_the_configuration():
    hinge = Match(SIMPLE).play()
    other = Match(dataclasses.replace(SIMPLE, loss="non_saturating")).play()
    assert other["g_loss"] != pytest.approx(hinge["g_loss"], rel=1e-2)


def test_losses_are_means_over_the_steps_of_a_call():
    match = Match(SIMPLE)
    seen = []
    play = match.game.play

    def spy(*arguments):
        seen.append(play(*arguments))
        return seen[-1]

    match.game.play = spy
    losses = match.play(3)
    means = np.mean([[float(loss) for loss in pair] for pair, _ in seen], axis=0)
    assert len(seen) == 3
    np.testing.assert_allclose([losses["d_loss"], losses["g_loss"]], means, rtol=1e-6, atol=1e-6)


# Synchronized statistics communicate, and cannot be compiled.
@pytest.mark.slow_except("dcgan")
@pytest.mark.parametrize(
    ("jit_compile", "options"),
    [
        pytest.param(False, smallest.DCGAN | {"sync_batch_norm": True}, id="dcgan"),
        (True, {}),
        (False, {"sync_batch_norm": True}),
        (False, {"sync_batch_norm": True, "fast": False}),
        (False, {"sync_batch_norm": True, "reuse_fakes": True}),
    ],
)
def test_two_replicas_move_as_one_on_the_same_global_batch(two_replicas, jit_compile, options):
    """Batch statistics would differ by replica: the generator has none, or shares them."""
    config = dataclasses.replace(CONFIG, **options, flip=True)
    make = Match if config.sync_batch_norm else without_batch_statistics
    one, two = make(config), make(config, strategy=two_replicas, jit_compile=jit_compile)
    before = one.values()
    losses = [match.play() for match in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5, abs=1e-5)
    ours, theirs = one.values(), two.values()
    moved = 0
    for (name, value), other in zip(ours.items(), theirs.values(), strict=True):
        np.testing.assert_allclose(other, value, rtol=0, atol=1e-5, err_msg=name)
        moved += not np.array_equal(value, before[name])
    assert moved > len(ours) / 2
    for network in (two.state.generator, two.state.discriminator):
        for variable in network.variables:
            first, second = (copy.numpy() for copy in variable.value.values)
            np.testing.assert_array_equal(first, second, err_msg=variable.path)


def remove_batch_statistics(generator):
    """Training calls of its batch normalizations use the fixed moving statistics."""
    for layer in generator.stack:
        for norm in (layer, getattr(layer, "norm_1", None), getattr(layer, "norm_2", None)):
            if hasattr(norm, "moving_mean"):
                norm.call = evaluating(norm.call)


def without_batch_statistics(config, **settings):
    """A match whose generator does not depend on the other images of a batch."""
    match = Match(config, **settings)
    remove_batch_statistics(match.state.generator)
    return match


def evaluating(call):
    def without_statistics(inputs, labels=None, training=False):
        del training
        return call(inputs, labels=labels, training=False)

    return without_statistics


@pytest.mark.slow
def test_compiled_step_equals_the_plain_one():
    plain, compiled = Match(), Match(jit_compile=True)
    losses = [match.play() for match in (plain, compiled)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5, abs=1e-5)
    values = zip(plain.values().items(), compiled.values().values(), strict=True)
    for (name, value), other in values:
        np.testing.assert_allclose(other, value, rtol=0, atol=1e-5, err_msg=name)


def test_weights_that_are_not_finite_are_named():
    state = State.create(CONFIG)
    state.check_finite()
    state.discriminator.block_4.conv_2.bias.assign([0.0, 0.0, np.nan, 0.0])
    with pytest.raises(RunError, match=r"finite weights at step 0; .* discriminator/.*bias"):
        state.check_finite()


def test_optimizers_are_adam_at_two_time_scales():
    config = dataclasses.replace(CONFIG, g_lr=1e-3, d_lr=2e-3, beta_1=0.25, beta_2=0.5)
    state = State.create(config)
    for optimizer, rate in ((state.g_optimizer, 1e-3), (state.d_optimizer, 2e-3)):
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert float(optimizer.learning_rate.numpy()) == pytest.approx(rate)
        assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.25, 0.5, 1e-8)


def test_equal_seeds_make_equal_weights_and_others_do_not():
    first, same = State.create(CONFIG), State.create(CONFIG)
    other = State.create(dataclasses.replace(CONFIG, seed=1))
    kernels = [state.generator.input_dense.kernel.numpy() for state in (first, same, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])
    assert not np.array_equal(
        kernels[0], networks.generator(dataclasses.replace(CONFIG, seed=1)).input_dense.kernel
    )
