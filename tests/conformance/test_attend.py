"""Attention in blocks against attention at once."""

import math
import re

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.layers import attend

QUERIES, KEYS = 48, 12


def inputs(scale=1.0, dtype="float32", keys=KEYS):
    rng = np.random.default_rng(0)
    shapes = [(2, QUERIES, 4), (2, keys, 4), (2, keys, 6)]
    scales = (scale, scale, 1.0)
    return [
        tf.cast(rng.normal(size=shape, scale=size), dtype)
        for shape, size in zip(shapes, scales, strict=True)
    ]


def results(function, values):
    """Outputs, and gradients in query, key and value."""
    weights = np.random.default_rng(1).normal(size=(*values[0].shape[:2], 6))
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = function(*values)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * tf.constant(weights, tf.float32))
    return [outputs, *tape.gradient(loss, values)]


def in_blocks(rows):
    return lambda *values: attend.attend_in_blocks(*values, rows)


@pytest.mark.parametrize("rows", [1, 16, QUERIES])
@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_blocks_give_the_same_outputs_and_gradients(rows, scale):
    """Also where scores are in the hundreds, and the softmax is nearly one key alone."""
    values = inputs(scale)
    expected = results(attend.attend_at_once, values)
    for value, other in zip(results(in_blocks(rows), values), expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=0, atol=1e-5 * np.abs(other).max())


def test_blocks_are_as_exact_as_the_whole_in_bfloat16():
    low = inputs(dtype="bfloat16")
    exact = results(attend.attend_at_once, [tf.cast(value, tf.float32) for value in low])
    for value, expected in zip(results(in_blocks(16), low), exact, strict=True):
        assert value.dtype == tf.bfloat16
        error = np.linalg.norm(np.asarray(value, "float32") - expected) / np.linalg.norm(expected)
        assert error < 0.01


@pytest.mark.slow
def test_blocks_are_compiled_to_memory_that_is_linear_in_positions():
    values = inputs(keys=QUERIES)
    compiled = tf.function(results, jit_compile=True)
    sizes = []
    for function in (attend.attend_at_once, in_blocks(4)):
        program = compiled.experimental_get_compiler_ir(function, values)(stage="optimized_hlo")
        shapes = re.findall(r"f32\[([\d,]+)\]", program)
        sizes.append(max(math.prod(map(int, shape.split(","))) for shape in shapes))
    whole = 2 * QUERIES**2
    assert sizes[0] == whole
    assert sizes[1] < whole / 4
    for value, other in zip(
        compiled(in_blocks(4), values), results(attend.attend_at_once, values), strict=True
    ):
        np.testing.assert_allclose(value, other, rtol=0, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize(("block", "loops"), [(QUERIES * KEYS, 0), (QUERIES * KEYS - 1, 1), (1, 1)])
def test_size_chooses_between_blocks_and_the_whole(block, loops, monkeypatch):
    monkeypatch.setattr(attend, "MOST", block)
    shapes = [(None, QUERIES, 4), (None, KEYS, 4), (None, KEYS, 6)]
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    graph = tf.function(attend.attend).get_concrete_function(*specs).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert sum("While" in kind for kind in kinds) == loops


@pytest.mark.parametrize(
    ("most", "expected"), [(0, 1), (1, 1), (5, 4), (47, 24), (48, 48), (99, 48)]
)
def test_blocks_are_as_large_as_fits_and_divide_the_queries(most, expected):
    assert attend.largest_divisor(QUERIES, most) == expected
