"""Conditional batch normalization against NumPy."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.layers import ConditionalBatchNormalization

IMAGES = (3 + 2 * np.random.default_rng(0).normal(size=(4, 2, 3, 5))).astype("float32")
LABELS = np.array([0, 2, 2, 1], "int32")
AXES = (0, 1, 2)


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def make(request):
    return functools.partial(ConditionalBatchNormalization, fast=request.param)


def with_tables(layer, labels=LABELS):
    layer(IMAGES, labels=labels)
    rng = np.random.default_rng(1)
    for table in (layer.scale, layer.offset):
        table.assign(rng.normal(size=table.shape))
    return layer


def normalized(epsilon=1e-5):
    return (IMAGES - IMAGES.mean(AXES)) / np.sqrt(IMAGES.var(AXES) + epsilon)


def test_starts_at_scale_one_and_offset_zero(make):
    layer = make(3)
    outputs = layer(IMAGES, labels=LABELS, training=True)
    np.testing.assert_allclose(outputs, normalized(), rtol=1e-4, atol=1e-5)


def test_each_class_has_its_scale_and_offset(make):
    layer = with_tables(make(3))
    scale, offset = layer.scale.numpy()[LABELS], layer.offset.numpy()[LABELS]
    expected = normalized() * scale[:, None, None] + offset[:, None, None]
    outputs = layer(IMAGES, labels=LABELS, training=True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_without_classes_there_is_one_scale_and_offset(make):
    layer = with_tables(make(), labels=None)
    assert layer.scale.shape == (5,)
    expected = normalized() * layer.scale.numpy() + layer.offset.numpy()
    np.testing.assert_allclose(layer(IMAGES, training=True), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.999, 0.9, 0.0])
def test_moving_statistics_move_by_momentum_with_biased_variance(make, momentum):
    layer = make(momentum=momentum)
    layer(IMAGES, training=True)
    mean = (1 - momentum) * IMAGES.mean(AXES)
    variance = momentum + (1 - momentum) * IMAGES.var(AXES)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-4)


def test_one_position_has_no_variance(make):
    layer = make(momentum=0.0)
    outputs = layer(IMAGES[:1, :1, :1], training=True)
    np.testing.assert_array_equal(outputs, np.zeros((1, 1, 1, 5)))
    np.testing.assert_array_equal(layer.moving_variance, np.zeros(5))


def test_evaluation_uses_and_keeps_moving_statistics(make):
    layer = with_tables(make(3))
    layer.moving_mean.assign(np.arange(5.0))
    layer.moving_variance.assign(np.arange(1.0, 6.0))
    before = [variable.numpy() for variable in layer.variables]
    expected = (IMAGES - np.arange(5)) / np.sqrt(np.arange(1, 6) + 1e-5)
    expected = expected * layer.scale.numpy()[LABELS][:, None, None]
    expected += layer.offset.numpy()[LABELS][:, None, None]
    np.testing.assert_allclose(layer(IMAGES, labels=LABELS), expected, rtol=1e-4, atol=1e-4)
    for variable, value in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_epsilon_is_added_to_the_variance(make):
    outputs = make(epsilon=2.0)(IMAGES, training=True)
    np.testing.assert_allclose(outputs, normalized(2.0), rtol=1e-4, atol=1e-5)


def test_gradients_of_tables_and_inputs(make):
    """Against central differences of the function itself, in directions drawn at random."""
    layer = with_tables(make(3))
    rng = np.random.default_rng(5)
    weights = rng.normal(size=IMAGES.shape).astype("float32")

    def loss(inputs):
        return tf.reduce_sum(layer(inputs, labels=LABELS, training=True) * weights)

    inputs = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = loss(inputs)
    gradients = tape.gradient(value, [inputs, layer.scale, layer.offset])
    direction = rng.normal(size=IMAGES.shape).astype("float32")
    numeric = (loss(inputs + 0.01 * direction) - loss(inputs - 0.01 * direction)) / 0.02
    np.testing.assert_allclose(np.sum(gradients[0] * direction), numeric, rtol=1e-2)
    per_image = (weights * normalized()).sum(axis=(1, 2))
    for gradient, rows in ((gradients[1], per_image), (gradients[2], weights.sum(axis=(1, 2)))):
        expected = np.zeros((3, 5))
        np.add.at(expected, LABELS, rows)
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("synchronized", [True, False])
def test_statistics_of_two_replicas(make, two_replicas, synchronized):
    with two_replicas.scope():
        layer = make(momentum=0.0, synchronized=synchronized)
        layer.build((None, 2, 3, 5))
    halves = IMAGES[:2], IMAGES[2:]
    images = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.constant(halves[context.replica_id_in_sync_group])
    )

    @tf.function
    def call():
        return two_replicas.run(lambda x: layer(x, training=True), args=(images,))

    outputs = np.concatenate([value.numpy() for value in call().values])
    means = [copy.numpy() for copy in layer.moving_mean.value.values]
    if synchronized:
        np.testing.assert_allclose(outputs, normalized(), rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(*means)
    else:
        np.testing.assert_allclose(means[0], halves[0].mean(AXES), rtol=1e-5)
        np.testing.assert_allclose(means[1], halves[1].mean(AXES), rtol=1e-5)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="num_classes=-1"):
        ConditionalBatchNormalization(-1)
    with pytest.raises(ValueError, match="momentum=1.5"):
        ConditionalBatchNormalization(momentum=1.5)
    with pytest.raises(ValueError, match="needs `labels`"):
        ConditionalBatchNormalization(3)(IMAGES)
