"""Attention of queries to keys, at once or in blocks.

In blocks memory grows with the number of positions instead of its square: of the matrix of all
weights only a few rows exist at a time, and the backward pass computes them again. On CPUs that is
faster too, since a block stays in the cache. Source of the idea: Rabe and Staats 2021,
https://arxiv.org/abs/2112.05682; of the gradient: Dao et al. 2022,
https://arxiv.org/abs/2205.14135, appendix B.
"""

import tensorflow as tf

# Weights of an image in a block: 1 MiB of float32, as many as attention at 32x32 has.
MOST = 2**18
# Blocks that are computed at a time, so that one core does not wait for another's.
PARALLEL = 2


def attention_weights(query, key):
    """Softmax over keys of the products `[B, N, d]` with `[B, M, d]`: `[B, N, M]`, float32."""
    # Products are not scaled and can be large: rounded to bfloat16 they would be off by whole
    # units, which the softmax turns into factors.
    query, key = (tf.cast(features, tf.float32) for features in (query, key))
    return tf.nn.softmax(tf.matmul(query, key, transpose_b=True))


def attend_at_once(query, key, value):
    """`[B, N, d]`, `[B, M, d]`, `[B, M, c]` to `[B, N, c]`: means of values by attention."""
    return tf.matmul(tf.cast(attention_weights(query, key), value.dtype), value)


def attend(query, key, value):
    """As `attend_at_once`, in blocks if an image has more than `MOST` weights."""
    queries, keys = query.shape[1], key.shape[1]
    rows = largest_divisor(queries, MOST // keys)
    if rows == queries:
        return attend_at_once(query, key, value)
    return attend_in_blocks(query, key, value, rows)


def largest_divisor(number, most):
    """The largest divisor of `number` that is at most `most`, or 1."""
    most = min(max(most, 1), number)
    return next(divisor for divisor in range(most, 0, -1) if number % divisor == 0)


def attend_in_blocks(query, key, value, rows):
    """As `attend_at_once`, `rows` queries at a time; `rows` divides their number.

    Can be differentiated once.
    """

    @tf.custom_gradient
    def attention(query, key, value):
        queries = split(query, rows)  # [N / rows, B, rows, d]
        outputs = tf.map_fn(
            lambda block: attend_at_once(block, key, value), queries, parallel_iterations=PARALLEL
        )
        return join(outputs), lambda upstream: gradients(queries, key, value, outputs, upstream)

    return attention(query, key, value)


def gradients(queries, key, value, outputs, upstream):
    """Of `attend_in_blocks`, in query, key and value."""
    blocks, _, rows, _ = queries.shape
    upstreams = split(upstream, rows)
    # The softmax's gradient is weights * (d_weights - mean), with this mean. As a column of the
    # product that makes d_weights it costs no pass over them.
    mean = tf.reduce_sum(
        tf.cast(upstreams, tf.float32) * tf.cast(outputs, tf.float32), axis=-1, keepdims=True
    )
    upstreams_and_mean = tf.concat([upstreams, -tf.cast(mean, value.dtype)], axis=-1)
    value_and_one = tf.concat([value, tf.ones_like(value[..., :1])], axis=-1)

    def add_block(i, d_queries, d_key, d_value):
        weights = tf.cast(attention_weights(queries[i], key), value.dtype)  # [B, rows, M]
        d_scores = weights * tf.matmul(upstreams_and_mean[i], value_and_one, transpose_b=True)
        d_queries = d_queries.write(i, tf.matmul(d_scores, key))
        # Transposed, [B, d, M]: the wide side last is twice as fast.
        d_key += tf.cast(tf.matmul(queries[i], d_scores, transpose_a=True), tf.float32)
        d_value += tf.cast(tf.matmul(upstreams[i], weights, transpose_a=True), tf.float32)
        return i + 1, d_queries, d_key, d_value

    d_queries = tf.TensorArray(queries.dtype, blocks, element_shape=queries.shape[1:])
    zeros = [tf.zeros_like(tf.linalg.matrix_transpose(x), tf.float32) for x in (key, value)]
    _, d_queries, *sums = tf.while_loop(
        lambda i, *_: i < blocks,
        add_block,
        (0, d_queries, *zeros),
        parallel_iterations=PARALLEL,
        maximum_iterations=blocks,
    )
    d_key, d_value = (tf.cast(tf.linalg.matrix_transpose(total), key.dtype) for total in sums)
    return join(d_queries.stack()), d_key, d_value


def split(positions, rows):
    """`[B, N, c]` to `[N / rows, B, rows, c]`."""
    _, count, channels = positions.shape
    blocks = tf.reshape(positions, [-1, count // rows, rows, channels])
    return tf.transpose(blocks, [1, 0, 2, 3])


def join(blocks):
    """The inverse of `split`."""
    count, _, rows, channels = blocks.shape
    return tf.reshape(tf.transpose(blocks, [1, 0, 2, 3]), [-1, count * rows, channels])
