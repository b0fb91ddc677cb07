"""The first bad number of a call, and the statistics that show a collapse."""

import numpy as np
import pytest
import tensorflow as tf
from test_game import ONE, SIMPLE, Match

from keras_sagan.errors import NotFinite
from keras_sagan.sampling import noise
from keras_sagan.training import health
from keras_sagan.training.adaptation import logit_moments
from keras_sagan.training.draws import Dealer

NUMBERS = dict.fromkeys((*health.LOSSES, *health.STATISTICS), 1.0)
NEVER = int(health.NEVER)


def spied(step, results):
    def spy(*arguments):
        results.append(step(*arguments))
        return results[-1]

    return spy


def test_statistics_are_those_of_the_last_step():
    """That they are the same of two replicas is in `test_game`, where all numbers are compared."""
    match = Match(SIMPLE)
    game, d_results, g_results = match.game, [], []
    game.discriminator_step = spied(game.discriminator_step, d_results)
    game.generator_step = spied(game.generator_step, g_results)
    numbers = match.play(2)
    assert list(numbers) == list(NUMBERS)
    _, d_gradients, logits = d_results[1]
    _, g_gradients = g_results[1]
    means = [np.mean(each.numpy()) for each in logits]
    stds = [np.std(each.numpy()) for each in logits]
    sign = np.mean(np.sign(logits[0].numpy()))
    norms = [
        np.sqrt(sum(np.sum(np.square(each.numpy(), dtype=np.float64)) for each in gradients))
        for gradients in (d_gradients, g_gradients)
    ]
    assert min(stds) > 1e-3
    np.testing.assert_allclose(
        [numbers[name] for name in health.STATISTICS], [*means, *stds, sign, *norms], rtol=1e-5
    )
    np.testing.assert_array_equal(match.bad, [NEVER, NEVER])


def test_spread_of_large_logits_is_not_lost():
    logits = np.random.default_rng(0).normal(1e4, 1e-2, 64).astype("float32")
    diagnostics = {
        "logits": [logit_moments(tf.constant(logits), "hinge")] * 2,
        "d": [logits],
        "g": [logits],
    }
    with ONE.scope():
        statistics = health.step_statistics(ONE, diagnostics).numpy()
    spread = statistics[health.STATISTICS.index("d_logits_std_fake")]
    assert spread == pytest.approx(logits.astype(float).std(), rel=1e-3)


@pytest.mark.slow
def test_first_steps_with_bad_losses_are_known_of_many(monkeypatch):
    """G's noise is bad in the third step: so are its loss there, and that of D in the fourth."""
    match = Match(SIMPLE)
    draw = match.game.draw

    def unlucky(step, purpose):
        draws = draw(step, purpose)
        if purpose == noise.G_STEP:
            return draws._replace(latents=tf.where(step == 2, np.nan, draws.latents))
        return draws

    monkeypatch.setattr(match.game, "draw", unlucky)
    numbers = match.play(5)
    np.testing.assert_array_equal(match.bad, [4, 3])
    with pytest.raises(NotFinite, match="g_loss=nan of the generator, first at step 3") as error:
        health.check_finite(numbers, match.bad.numpy(), 5)
    assert (error.value.step, error.value.name) == (3, "g_loss")


@pytest.mark.parametrize(
    ("changes", "bad", "message"),
    [
        # Of one step D comes first.
        ({"d_loss": np.nan, "g_loss": np.nan}, [4, 4], "d_loss=nan of the discriminator, .* 4"),
        ({"d_loss": np.nan, "g_loss": np.inf}, [5, 4], "g_loss=inf of the generator, .* 4"),
        ({"g_gradient_norm": np.inf}, [NEVER, NEVER], "norm=inf of the generator, .* step 7"),
        ({"d_logits_std_real": np.nan}, [NEVER, NEVER], "real=nan of the discriminator, .* 7"),
        # The sum of large losses.
        ({"d_loss": np.inf}, [NEVER, NEVER], "d_loss=inf of the discriminator, .* step 7"),
    ],
)
def test_first_number_that_is_not_finite_is_named(changes, bad, message):
    health.check_finite(NUMBERS, [NEVER, NEVER], 7)
    with pytest.raises(NotFinite, match=message):
        health.check_finite(NUMBERS | changes, bad, 7)


def test_noise_after_a_rollback_is_another_one():
    drawn = []
    with ONE.scope():
        for rollbacks in range(4):
            draw = Dealer(SIMPLE, [1], None, rollbacks).draw
            draws = ONE.run(draw, args=(tf.constant(5, tf.int64), noise.G_STEP))
            drawn.append(draws.latents.numpy())
    assert len(np.unique(drawn)) == 4 * SIMPLE.batch_size * SIMPLE.z_dim
