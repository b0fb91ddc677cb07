"""Our Adam is Keras' own, on one replica and on two, and its rates decay as they should."""

import math

import keras
import numpy as np
import pytest
import smallest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.training.adam import Adam
from keras_sagan.training.state import State

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


RATE, DECAY_STEPS = 0.5, 8
SHARES = {
    "none": lambda n: 1,
    "linear": lambda n: 1 - n / DECAY_STEPS,
    "cosine": lambda n: (1 + math.cos(math.pi * n / DECAY_STEPS)) / 2,
}


def make_decaying(decay):
    """An Adam whose update is the learning rate, if the gradient stays the same."""
    weight = keras.Variable(tf.zeros([]), name="weight")
    optimizer = Adam(RATE, beta_1=0.0, epsilon=1e-30, decay=decay, decay_steps=DECAY_STEPS)
    optimizer.build([weight])
    return optimizer, weight


def measure_rates(optimizer, weight, count, jit_compile=False):
    """How far each of the next updates moves the weight."""
    apply = tf.function(lambda: optimizer.apply([tf.ones([])], [weight]), jit_compile=jit_compile)
    places = [float(weight)]
    for _ in range(count):
        apply()
        places.append(float(weight))
    return -np.diff(places)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("decay", SHARES)
def test_rate_of_each_update(decay, jit_compile):
    optimizer, weight = make_decaying(decay)
    expected = [RATE * SHARES[decay](n) for n in range(DECAY_STEPS)]
    np.testing.assert_allclose(optimizer.current_learning_rate, RATE, rtol=1e-6)
    np.testing.assert_allclose(measure_rates(optimizer, weight, 3, jit_compile), expected[:3], 1e-4)
    np.testing.assert_allclose(optimizer.current_learning_rate, expected[3], rtol=1e-6)
    np.testing.assert_allclose(measure_rates(optimizer, weight, 5, jit_compile), expected[3:], 1e-4)
    assert float(optimizer.learning_rate) == RATE
    # From now on, a rate that has decayed is 0.
    last = RATE if decay == "none" else 0
    np.testing.assert_allclose(optimizer.current_learning_rate, last, atol=1e-7)
    found = measure_rates(optimizer, weight, 3, jit_compile)
    np.testing.assert_allclose(found, last, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_restored_rates_continue_exactly(decay, tmp_path):
    straight = make_decaying(decay)
    expected = [measure_rates(*straight, count) for count in (3, 4)][1]
    first, second = make_decaying(decay), make_decaying(decay)
    measure_rates(*first, 3)
    saved, restored = (tf.train.Checkpoint(o=o, w=w) for o, w in (first, second))
    restored.restore(saved.save(str(tmp_path / "checkpoint"))).assert_consumed()
    np.testing.assert_array_equal(measure_rates(*second, 4), expected)
    np.testing.assert_array_equal(second[1], straight[1])


def test_no_decay_adds_nothing_to_the_graph():
    def kinds(optimizer_class, **settings):
        weight = keras.Variable(tf.zeros([]))
        optimizer = optimizer_class(RATE, **settings)
        optimizer.build([weight])
        apply = tf.function(lambda: optimizer.apply([tf.ones([])], [weight]))
        return [
            operation.type for operation in apply.get_concrete_function().graph.get_operations()
        ]

    class Earlier(Adam):
        def decayed(self, rate):
            return rate

    assert kinds(Adam) == kinds(Earlier)
    assert kinds(Adam) != kinds(Adam, decay="linear", decay_steps=3)


def test_both_optimizers_of_a_run_reach_zero_at_the_same_step():
    settings = (
        smallest.RUN | smallest.DCGAN | {"lr_decay": "cosine", "d_steps": 2, "num_classes": 0}
    )
    state = State.create(Config(**settings, lr_decay_steps=50, total_steps=50))
    for steps in (0, 20, 49, 50):
        state.g_optimizer.iterations.assign(steps)
        state.d_optimizer.iterations.assign(2 * steps)
        share = (1 + math.cos(math.pi * steps / 50)) / 2
        for optimizer, rate in ((state.g_optimizer, 1e-4), (state.d_optimizer, 4e-4)):
            np.testing.assert_allclose(
                optimizer.current_learning_rate, rate * share, rtol=1e-4, atol=1e-12
            )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_callbacks_of_fit_change_the_rate_that_decays(jit_compile):
    optimizer = Adam(RATE, beta_1=0.0, epsilon=1e-30, decay="linear", decay_steps=8)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.layers[0].kernel.assign([[8.0]])  # The gradient keeps its sign.
    model.compile(optimizer, "mae", jit_compile=jit_compile)
    places = [8.0]

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            places.append(float(model.layers[0].kernel[0, 0]))

    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2**epoch)
    data = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")
    fitted = model.fit(*data, batch_size=2, epochs=2, verbose=0, callbacks=[scheduler, Watch()])
    assert fitted.history["learning_rate"] == [0.5, 0.25]
    np.testing.assert_allclose(
        -np.diff(places), [0.5, 0.5 * 7 / 8, 0.25 * 6 / 8, 0.25 * 5 / 8], rtol=1e-4
    )
    plateau = keras.callbacks.ReduceLROnPlateau("loss", 0.5, patience=0, min_delta=1e9)
    model.fit(*data, batch_size=4, epochs=2, verbose=0, callbacks=[plateau])
    assert float(optimizer.learning_rate) == 0.125


def test_configuration_keeps_the_decay():
    optimizer = Adam(RATE, decay="cosine", decay_steps=7)
    copy = Adam.from_config(optimizer.get_config())
    assert (copy.decay, copy.decay_steps) == ("cosine", 7)
    assert float(copy.learning_rate) == RATE


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay": "step"}, "`decay` must be one of none, linear, cosine. Received: decay='step'"),
        ({"decay": "linear"}, "`decay_steps` must be at least 1. Received: decay_steps=0"),
    ],
)
def test_wrong_decays_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Adam(RATE, **settings)
