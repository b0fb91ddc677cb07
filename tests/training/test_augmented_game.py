"""What augmentation, R1, LeCam and ADA change in a step, against a step written out here."""

import dataclasses

import numpy as np
import pytest
import smallest
import tensorflow as tf
from test_game import CONFIG, IMAGES, LABELS, ONE, RATE, Match, draw, without_batch_statistics

from keras_sagan.layers import Augment
from keras_sagan.losses import LOSSES
from keras_sagan.sampling import noise
from keras_sagan.training.adaptation import adapt, logit_moments, make_adaptive

AUGMENTED = dataclasses.replace(CONFIG, augment="color,translation,cutout", augment_p=0.7)
FORMS = {
    "color": AUGMENTED,
    "diffusion": dataclasses.replace(CONFIG, augment="cutout,diffusion"),
    "reuse_fakes": dataclasses.replace(AUGMENTED, reuse_fakes=True),
}


def augmented(config, images, purpose, number, step=0):
    """As the docstrings say: 3 for real images, 4 for fakes, of the seed of the update."""
    augment = Augment(config.augment, config.augment_p)
    seed = noise.derive_seed(tf.constant([0, config.seed]), step, purpose)
    seed = noise.derive_seed(seed, number)
    shape = images.shape[1:] if "diffusion" in config.augment else None
    return augment(images, noise.augmentation(seed, len(images), augment.uniforms, shape))


class Spy:
    """A network that keeps its inputs."""

    def __init__(self, network):
        self.network, self.inputs = network, []

    def __call__(self, inputs, *arguments, **settings):
        self.inputs.append(np.array(inputs))
        return self.network(inputs, *arguments, **settings)

    def __getattr__(self, name):
        return getattr(self.network, name)


@pytest.mark.slow_except("color")
@pytest.mark.parametrize("form", FORMS)
def test_discriminator_sees_real_images_and_fakes_only_augmented(form):
    config = FORMS[form]
    match, twin = Match(config), Match(config)
    spy = match.game.discriminator = Spy(match.state.discriminator)
    match.play()
    real = IMAGES[0].astype("float32") / 127.5 - 1
    fakes = twin.state.generator(*draw(config, noise.D_STEP), training=True, advance_u=False)
    expected = [
        augmented(config, real, noise.D_STEP, 3),
        augmented(config, fakes, noise.D_STEP, 4),
    ]
    if config.reuse_fakes:
        expected.append(expected[1])
    else:
        fakes = twin.state.generator(*draw(config, noise.G_STEP), training=True, advance_u=True)
        expected.append(augmented(config, fakes, noise.G_STEP, 4))
    assert len(spy.inputs) == 3
    for seen, wanted in zip(spy.inputs, expected, strict=True):
        np.testing.assert_allclose(seen, wanted, rtol=0, atol=1e-5)
    plain = Match(CONFIG)
    spy = plain.game.discriminator = Spy(plain.state.discriminator)
    plain.play()
    np.testing.assert_allclose(spy.inputs[0], real, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["color", "diffusion"])
def test_generator_learns_through_the_augmentation(form):
    config = FORMS[form]
    match, twin = Match(config), Match(config)
    for each in (match, twin):
        each.game.d_optimizer.learning_rate.assign(0.0)
    generator, discriminator = twin.state.generator, twin.state.discriminator
    discriminator(IMAGES[0].astype("float32") / 127.5 - 1, LABELS[0], training=True, advance_u=True)
    latents, labels = draw(config, noise.G_STEP)
    with tf.GradientTape() as tape:
        fakes = generator(latents, labels, training=True, advance_u=True)
        seen = augmented(config, fakes, noise.G_STEP, 4)
        loss = LOSSES["hinge"][1](discriminator(seen, labels, training=True, advance_u=False))
    weights = generator.trainable_variables
    before = [weight.numpy() for weight in match.state.generator.trainable_variables]
    assert match.play()["g_loss"] == pytest.approx(float(loss), rel=1e-4, abs=1e-5)
    moved = 0
    for weight, old, gradient in zip(
        match.state.generator.trainable_variables,
        before,
        tape.gradient(loss, weights),
        strict=True,
    ):
        np.testing.assert_allclose(weight, old - RATE * gradient, rtol=1e-4, atol=1e-5)
        moved += not np.array_equal(weight.numpy(), old)
    assert moved > len(weights) / 2


@pytest.mark.slow
@pytest.mark.parametrize(("form", "jit_compile"), [("color", False), ("diffusion", True)])
def test_two_replicas_and_xla_make_the_same_step(two_replicas, form, jit_compile):
    """With all that depends on logits, and a share of the noise for each replica."""
    adapted = {"augment_target": 0.1, "augment_images": 10, "lecam": 0.03, "r1": 0.1, "r1_every": 2}
    config = dataclasses.replace(FORMS[form], **adapted)
    one = without_batch_statistics(config)
    two = without_batch_statistics(config, strategy=two_replicas, jit_compile=jit_compile)
    numbers = one.play(), two.play()
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-4, abs=1e-4)
    values = two.values()
    for name, value in one.values().items():
        np.testing.assert_allclose(values[name], value, rtol=0, atol=5e-5, err_msg=name)
    for name, variable in one.state.adaptive.items():
        assert float(variable.numpy()) != 0
        replicated = two.state.adaptive[name]
        assert float(replicated.numpy()) == pytest.approx(float(variable.numpy()), abs=1e-5)


def test_probability_and_averages_follow_the_logits_of_every_update():
    changes = {"augment": "color", "augment_target": 0.6, "augment_images": 40, "lecam": 0.3}
    config = dataclasses.replace(CONFIG, **changes, augment_p=0.5)
    rng, p, averages = np.random.default_rng(0), 0.0, None
    with ONE.scope():
        adaptive = make_adaptive(config)
    for update in range(12):
        # At first nearly all real images are known, later fewer.
        real = rng.normal(3 if update < 5 else 0.2, 1, 16).astype("float32")
        fake = rng.normal(-1, 1, 16).astype("float32")
        moments = [logit_moments(tf.constant(each), "hinge") for each in (real, fake)]
        ONE.run(adapt, args=(adaptive, config, moments, tf.constant(update, tf.int64)))
        p += np.sign(np.mean(np.sign(real)) - 0.6) * config.batch_size / 40
        p = min(max(p, 0.0), 0.5)
        means = np.array([real.mean(), fake.mean()])
        averages = means if averages is None else 0.99 * averages + 0.01 * means
        assert float(adaptive["augment_p"].numpy()) == pytest.approx(p, abs=1e-6)
        found = [float(adaptive[name].numpy()) for name in ("lecam_real", "lecam_fake")]
        np.testing.assert_allclose(found, averages, rtol=1e-5)
        if update == 4:
            assert p == 0.5
    assert 0 <= p < 0.5


def test_sign_of_a_least_squares_logit_is_that_of_its_distance_from_a_half():
    moments = logit_moments(tf.constant([0.2, 0.6, 0.9, 1.5]), "least_squares")
    np.testing.assert_allclose(moments, [0.8, (0.04 + 0.36 + 0.81 + 2.25) / 4, 0.5], rtol=1e-6)


def test_present_probability_is_the_one_in_use():
    config = dataclasses.replace(AUGMENTED, augment_target=0.5)
    match, images = Match(config), tf.constant(IMAGES[0].astype("float32") / 127.5 - 1)
    draws = (tf.fill([8, match.game.augment.uniforms], 0.3),)
    unchanged = match.game.augmented(images, draws, match.game.levels())
    np.testing.assert_array_equal(unchanged, images)
    match.state.adaptive["augment_p"].assign(0.4)
    changed = match.game.augmented(images, draws, match.game.levels())
    assert not np.allclose(changed, images)


@pytest.mark.slow_except("1")
@pytest.mark.parametrize("every", [1, 3])
def test_r1_counts_in_every_nth_update_of_the_discriminator(every):
    """Weights stand still, so the loss shows which updates have the penalty, and how much."""
    simple = dataclasses.replace(CONFIG, d_steps=2, **smallest.DCGAN)
    plain = Match(simple)
    penalized = Match(dataclasses.replace(simple, r1=0.7, r1_every=every))
    penalties = []
    for match in (plain, penalized):
        for optimizer in (match.game.d_optimizer, match.game.g_optimizer):
            optimizer.learning_rate.assign(0.0)
        match.losses = losses_of_updates(match)
    for turn in range(6):
        images = tf.constant(IMAGES[turn % 4].astype("float32") / 127.5 - 1)
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = plain.state.discriminator(images, LABELS[turn % 4], training=True)
        gradient = tape.gradient(logits, images)
        penalties.append(np.mean(np.sum(np.square(gradient), axis=(1, 2, 3))) / 2)
    due = [0.7 * every * (turn % every == 0) for turn in range(6)]
    extra = np.array(penalized.losses) - plain.losses
    np.testing.assert_allclose(extra, np.multiply(due, penalties), rtol=1e-3, atol=1e-5)


def losses_of_updates(match):
    """D's loss in each of six updates, as they are applied."""
    losses, update = [], match.game.update_discriminator

    def spied(*arguments):
        found = update(*arguments)
        losses.append(float(found[0]))
        return found

    match.game.update_discriminator = spied
    match.play(3)
    return losses


def test_lecam_pulls_logits_towards_the_average_of_the_others():
    simple = dataclasses.replace(CONFIG, **smallest.DCGAN)
    plain, pulled = Match(simple), Match(dataclasses.replace(simple, lecam=0.3))
    averages = {"lecam_real": 0.9, "lecam_fake": -0.4}
    for name, value in averages.items():
        pulled.state.adaptive[name].assign(value)
    seen, step = [], pulled.game.discriminator_step
    pulled.game.discriminator_step = lambda *given: seen.append(step(*given)) or seen[-1]
    losses = [match.play()["d_loss"] for match in (plain, pulled)]
    real, fake = (logits.numpy() for logits in seen[0][2])
    penalty = np.mean(np.maximum(real + 0.4, 0) ** 2) + np.mean(np.maximum(0.9 - fake, 0) ** 2)
    assert losses[1] - losses[0] == pytest.approx(0.3 * penalty, rel=1e-4)
    assert penalty > 0.01
