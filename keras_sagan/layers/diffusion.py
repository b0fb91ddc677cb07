"""Noise as after some steps of a diffusion process.

Source: Diffusion-GAN, Wang et al. 2022, https://arxiv.org/abs/2206.02262, section 3, and its
released diffusion.py.
"""

import tensorflow as tf

# Bounds of the number of steps T.
FEWEST_STEPS, MOST_STEPS = 10, 1000
# Betas of the first and of the last step.
FIRST_BETA, LAST_BETA = 1e-4, 2e-2
NOISE_STD = 0.05


def diffuse(
    images: tf.Tensor, gate: tf.Tensor, number: tf.Tensor, noise: tf.Tensor, p: tf.Tensor
) -> tf.Tensor:
    """Images after t of the T steps of a diffusion process.

    T grows with p from 10 to 1000, and t is 0 for half of the images. As in the released
    diffusion.py, betas are linear over the T steps, noise has a standard deviation of 0.05, and
    larger t are more probable (`draw_t`). There, images share 32 values of t, which are drawn
    whenever T changes; here, each image draws its own. The paper's discriminator is told t; ours
    is not.
    """
    steps = FEWEST_STEPS + tf.round(p * (MOST_STEPS - FEWEST_STEPS))
    steps = tf.minimum(steps, MOST_STEPS)
    t = tf.where(gate < 0.5, draw_t(number, steps), 0)
    log_alpha_bar = sum_log_alphas(t, steps)
    std = NOISE_STD * tf.sqrt(-tf.math.expm1(log_alpha_bar))
    return tf.exp(log_alpha_bar / 2) * images + std * noise


def draw_t(number: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """From 1 to T, with a probability proportional to t - 1.

    The probability of at most t is t (t - 1) / (T (T - 1)). The result is the first t for which it
    exceeds `number`: 1 and the count of those for which it does not. Whole numbers are compared, so
    that rounding changes no result.
    """
    t = tf.range(1, MOST_STEPS + 1, dtype=number.dtype)
    earlier = (t < steps) & (t * (t - 1) <= number * (steps * (steps - 1)))
    return 1 + tf.reduce_sum(tf.cast(earlier, number.dtype), axis=-1, keepdims=True)


def sum_log_alphas(t: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """The logarithm of the product of 1 - beta over the first t of T steps.

    All 1000 possible steps are computed and the first t added, so shapes do not depend on T and
    nothing is looked up in a table. In float32 the products are exact to 1e-5 of their value.
    """
    step = tf.range(1, MOST_STEPS + 1, dtype=t.dtype)
    fraction = tf.minimum((step - 1) / (steps - 1), 1)
    betas = FIRST_BETA + (LAST_BETA - FIRST_BETA) * fraction
    return tf.reduce_sum(tf.where(step <= t, tf.math.log1p(-betas), 0), axis=-1, keepdims=True)
