"""Where the time of a training step goes: each part timed alone, and the remainder."""

import time

import numpy as np


def measure_breakdown(training, step_s, calls):
    """Milliseconds of the parts of a step. Changes the state, so it must be measured last.

    `training` is a `speed_worker.OurTraining` that has trained, whose whole step takes `step_s`
    seconds. Each part is called `calls` times.

    Returns:
        dict: `feed`; `noise`, the latents, labels and coins of both updates; `d_turn` and `g_turn`,
        an update's forward and backward pass without applying it; `update`, both optimizers;
        `average`, the moving average; `rest`, the step minus all of these: the host, the loop, and
        what overlaps or uses the cache differently in a whole step. `g_forward` (in both updates)
        and `d_forward` (of one batch: twice in d_turn, once in g_turn) are parts of the updates.
        With `reuse_fakes` a whole step has one g_forward less than its updates, so `rest` is
        smaller by that.
    """
    parts = step_parts(training)
    milliseconds = {name: 1000 * median_seconds(part, calls) for name, part in parts.items()}
    disjoint = ("feed", "noise", "d_turn", "g_turn", "update", "average")
    rest = 1000 * step_s - sum(milliseconds[name] for name in disjoint)
    return milliseconds | {"rest": rest}


def step_parts(training):
    """Functions without arguments, by name, on tensors made once."""
    import tensorflow as tf

    from keras_sagan.sampling import noise
    from keras_sagan.training.adam import apply_gradients
    from keras_sagan.training.draws import Conditions

    game, strategy, step = training.game, training.strategy, training.state.step
    images, labels = next(training.iterator)
    images = tf.cast(images, tf.float32) / 127.5 - 1

    def on_replica(function, *inputs):
        graph = tf.function(lambda *tensors: strategy.run(function, args=tensors))
        return lambda: graph(*inputs)

    def draw():
        return game.draw(step, noise.D_STEP), game.draw(step, noise.G_STEP)

    draws, _ = on_replica(draw)()
    networks = {"d": game.discriminator, "g": game.generator}
    zeros = {
        name: [tf.zeros(v.shape) for v in n.trainable_variables] for name, n in networks.items()
    }

    def update():
        apply_gradients(game.d_optimizer, zeros["d"], game.discriminator)
        apply_gradients(game.g_optimizer, zeros["g"], game.generator)

    def forward(network):
        return lambda inputs, classes: network(inputs, classes, training=True, advance_u=False)

    conditions = Conditions(game.levels())
    return {
        "feed": lambda: next(training.iterator),
        "noise": on_replica(draw),
        "d_turn": on_replica(game.discriminator_step, images, labels, draws, conditions),
        "g_turn": on_replica(game.generator_step, draws, conditions),
        "update": on_replica(update),
        "average": on_replica(lambda: game.average(step)),
        "g_forward": on_replica(forward(game.generator), draws.latents, draws.labels),
        "d_forward": on_replica(forward(game.discriminator), images, labels),
    }


def median_seconds(part, calls):
    """Median seconds of a call, after one that compiles."""
    import tensorflow as tf

    seconds = []
    for _ in range(calls + 1):
        begun = time.perf_counter()
        results = tf.nest.flatten(part())
        if results and results[0] is not None:
            results[0].numpy()
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds[1:]))
