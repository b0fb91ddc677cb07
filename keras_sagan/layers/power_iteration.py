"""The largest singular value of a kernel, by power iterations that continue from call to call.

Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957, Algorithm 1.
"""

import keras
import tensorflow as tf


def spectral_norm(
    kernel: tf.Tensor, u: tf.Tensor, power_iterations: int = 1
) -> tuple[tf.Tensor, tf.Tensor]:
    """Estimates the largest singular value of `kernel` by power iteration.

    Args:
        kernel: `[..., units]`. Every axis but the last is flattened into rows.
        u: `[1, units]`, the current estimate of the right singular vector.
        power_iterations: int, at least 1.

    Returns:
        sigma: scalar, differentiable in `kernel`; `u` and `v` are constants.
        u: `[1, units]`, the next estimate.
    """
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
    constant = tf.stop_gradient(matrix)
    for _ in range(power_iterations):
        v = tf.math.l2_normalize(tf.matmul(u, constant, transpose_b=True))  # [1, rows]
        u = tf.math.l2_normalize(tf.matmul(v, constant))
    sigma = tf.matmul(tf.matmul(v, matrix), u, transpose_b=True)
    return tf.squeeze(sigma), u


def divide_by_norm(
    kernel: tf.Tensor,
    matrix: tf.Tensor,
    vector_u: keras.Variable,
    advance_u: bool,
    power_iterations: int = 1,
) -> tf.Tensor:
    """`kernel` divided by the largest singular value of `matrix`, which holds the same numbers.

    `advance_u` stores the power iteration in `vector_u`. A kernel of zeros stays as it is, and so
    does its vector, which would otherwise be zero forever.
    """
    before = tf.convert_to_tensor(vector_u)
    sigma, u = spectral_norm(matrix, before, power_iterations)
    is_zero = tf.equal(sigma, 0)
    if advance_u:
        vector_u.assign(tf.where(is_zero, before, u))
    return kernel / tf.where(is_zero, tf.ones_like(sigma), sigma)


def resolve_advance_u(advance_u: bool | None, training: bool | None) -> bool:
    """Whether a call stores its power iteration: `advance_u`, or `training` if that is None."""
    return bool(training if advance_u is None else advance_u)
