"""Attention of queries to keys, at once or in blocks.

In blocks, memory grows with the number of positions instead of its square: only a few rows of the
attention matrix exist at a time, and the backward pass recomputes them. On CPUs blocks are also
faster, because a block stays in the cache. Source of the idea: Rabe and Staats 2021,
https://arxiv.org/abs/2112.05682; of the gradient: Dao et al. 2022,
https://arxiv.org/abs/2205.14135, appendix B.
"""

from typing import Any

import tensorflow as tf

from keras_sagan.layers.tensors import at_least_float32, sizes_of

# Weights per image in a block: 1 MiB of float32, as many as attention at 32x32 has.
MOST = 2**18
# Blocks computed at a time, so that no core waits for another.
PARALLEL = 2


def attention_weights(query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Softmax over keys of the products of queries `[B, N, d]` and keys `[B, M, d]`.

    Returns:
        `[B, N, M]`, float32 (float64 for float64 queries).
    """
    # The products are not scaled and can be large. Rounded to bfloat16 they would be off by whole
    # units, which the softmax turns into factors.
    dtype = at_least_float32(query.dtype)
    query, key = (tf.cast(features, dtype) for features in (query, key))
    return tf.nn.softmax(tf.matmul(query, key, transpose_b=True))


def attend_at_once(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Averages values `[B, M, c]`, weighted by attention: `[B, N, c]`, in the dtype of `value`."""
    return tf.matmul(tf.cast(attention_weights(query, key), value.dtype), value)


def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Does what `attend_at_once` does, in blocks if an image has more than `MOST` weights.

    It is at once where the graph does not know the number of positions.
    """
    queries, keys = query.shape[1], key.shape[1]
    if queries is None or keys is None:
        return attend_at_once(query, key, value)
    rows = largest_divisor(queries, MOST // keys)
    if rows == queries:
        return attend_at_once(query, key, value)
    return attend_in_blocks(query, key, value, rows)


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of `number` that is at most `most`, or 1."""
    most = min(max(most, 1), number)
    return next(divisor for divisor in range(most, 0, -1) if number % divisor == 0)


def attend_in_blocks(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, rows: int) -> tf.Tensor:
    """`attend_at_once` for `rows` queries at a time, a divisor of their number.

    Gradients are in blocks, too. Gradients of gradients, as of a gradient penalty, are at once.
    """

    @tf.custom_gradient
    def attention(query, key, value) -> Any:  # Of the pair, the decorator returns the outputs.
        queries = split_into_blocks(query, rows)  # [N / rows, B, rows, d]
        outputs = tf.map_fn(
            lambda block: attend_at_once(block, key, value), queries, parallel_iterations=PARALLEL
        )

        @tf.custom_gradient
        def gradients(query, key, value, upstream) -> Any:
            found = gradients_in_blocks(queries, key, value, outputs, upstream)
            given = query, key, value, upstream
            return found, lambda *upstreams: second_gradients(*given, upstreams)

        return join_blocks(outputs), lambda upstream: gradients(query, key, value, upstream)

    return attention(query, key, value)


def second_gradients(query, key, value, upstream, upstreams):
    """Differentiates the gradients of `attend_at_once`; `upstreams` belong to the three gradients.

    `upstream`, `[B, N, c]`, is the gradient with respect to the attended values. There is a result
    for each of the first four arguments.
    """
    with tf.GradientTape() as second:
        second.watch([query, key, value, upstream])
        with tf.GradientTape() as first:
            first.watch([query, key, value])
            outputs = attend_at_once(query, key, value)
        gradients: Any = first.gradient(outputs, [query, key, value], upstream)
    return second.gradient(gradients, [query, key, value, upstream], list(upstreams))


def gradients_in_blocks(queries, key, value, outputs, upstream):
    """Gradients of `attend_in_blocks` with respect to query, key and value.

    Args:
        queries: `[N / rows, B, rows, d]`.
        key: `[B, M, d]`.
        value: `[B, M, c]`.
        outputs: `[N / rows, B, rows, c]`.
        upstream: `[B, N, c]`, the gradient with respect to the joined outputs.
    """
    blocks, _, rows, _ = sizes_of(queries)
    dtype = at_least_float32(value.dtype)
    upstreams = split_into_blocks(upstream, rows)
    # The gradient of the softmax is weights * (d_weights - mean), with this mean. As one more
    # column of the product that computes d_weights it costs no pass over them.
    mean = tf.reduce_sum(
        tf.cast(upstreams, dtype) * tf.cast(outputs, dtype), axis=-1, keepdims=True
    )
    upstreams_and_mean = tf.concat([upstreams, -tf.cast(mean, value.dtype)], axis=-1)
    value_and_one = tf.concat([value, tf.ones_like(value[:, :, :1])], axis=-1)

    def add_block(i, d_queries, d_key, d_value):
        weights = tf.cast(attention_weights(queries[i], key), value.dtype)  # [B, rows, M]
        d_scores = weights * tf.matmul(upstreams_and_mean[i], value_and_one, transpose_b=True)
        d_queries = d_queries.write(i, tf.matmul(d_scores, key))
        # Transposed, [B, d, M]: with the wide side last it is twice as fast.
        d_key += tf.cast(tf.matmul(queries[i], d_scores, transpose_a=True), dtype)
        d_value += tf.cast(tf.matmul(upstreams[i], weights, transpose_a=True), dtype)
        return i + 1, d_queries, d_key, d_value

    d_queries = tf.TensorArray(queries.dtype, blocks, element_shape=queries.shape[1:])
    zeros = [tf.zeros_like(tf.linalg.matrix_transpose(x), dtype) for x in (key, value)]
    _, d_queries, *sums = tf.while_loop(
        lambda i, *_: i < blocks,
        add_block,
        (0, d_queries, *zeros),
        parallel_iterations=PARALLEL,
        maximum_iterations=blocks,
    )
    d_key, d_value = (tf.cast(tf.linalg.matrix_transpose(total), key.dtype) for total in sums)
    return join_blocks(d_queries.stack()), d_key, d_value


def split_into_blocks(positions: tf.Tensor, rows: int) -> tf.Tensor:
    """`[B, N, c]` to `[N / rows, B, rows, c]`."""
    _, count, channels = sizes_of(positions)
    blocks = tf.reshape(positions, [-1, count // rows, rows, channels])
    return tf.transpose(blocks, [1, 0, 2, 3])


def join_blocks(blocks: tf.Tensor) -> tf.Tensor:
    """The inverse of `split_into_blocks`."""
    count, _, rows, channels = sizes_of(blocks)
    return tf.reshape(tf.transpose(blocks, [1, 0, 2, 3]), [-1, count * rows, channels])
