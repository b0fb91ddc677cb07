"""Our Adam is Keras' own, on one replica and on two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.training.adam import Adam

SHAPES = [(3, 4), (5,), ()]
STEPS = 4


def train(optimizer_class, strategy):
    """Weights and slots after some steps, with gradients that differ between replicas."""
    with strategy.scope():
        variables = [keras.Variable(tf.ones(shape)) for shape in SHAPES]
        optimizer = optimizer_class(0.1, beta_1=0.5, beta_2=0.9, epsilon=1e-8)
        optimizer.build(variables)

    @tf.function
    def step(number):
        def replica():
            own = tf.distribute.get_replica_context().replica_id_in_sync_group
            factor = tf.cast(number + 10 * own, tf.float32)
            optimizer.apply([tf.sin(factor + tf.ones(shape)) for shape in SHAPES], variables)

        strategy.run(replica)

    for number in range(STEPS):
        step(tf.constant(number))
    for variable in variables:
        copies = [copy.numpy() for copy in strategy.experimental_local_results(variable.value)]
        assert all(np.array_equal(copy, copies[0]) for copy in copies)
    return {variable.path: variable.numpy() for variable in [*variables, *optimizer.variables]}


@pytest.mark.parametrize("replicas", [1, 2])
def test_steps_are_those_of_keras(replicas, request):
    one = tf.distribute.get_strategy()
    strategy = request.getfixturevalue("two_replicas") if replicas == 2 else one
    ours, theirs = train(Adam, strategy), train(keras.optimizers.Adam, strategy)
    for value, expected in zip(ours.values(), theirs.values(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert list(ours.values())[len(SHAPES)] == STEPS  # Of the optimizer's own variables, the first.


def test_checkpoint_of_keras_adam_fits(tmp_path):
    for optimizer_class, act in ((keras.optimizers.Adam, "save"), (Adam, "restore")):
        variables = [keras.Variable(tf.ones(shape), name="weight") for shape in SHAPES]
        optimizer = optimizer_class(0.1)
        optimizer.build(variables)
        checkpoint = tf.train.Checkpoint(optimizer=optimizer)
        if act == "save":
            optimizer.apply([tf.ones(shape) for shape in SHAPES], variables)
            path, slots = checkpoint.save(str(tmp_path / "checkpoint")), optimizer.variables
        else:
            checkpoint.restore(path).assert_consumed()
            for value, expected in zip(optimizer.variables, slots, strict=True):
                np.testing.assert_array_equal(value, expected)
