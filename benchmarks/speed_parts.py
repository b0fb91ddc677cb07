"""Where the time of a training step goes: its parts, each alone, and what is left."""

import time

import numpy as np


def breakdown(ours, step_s, calls):
    """Milliseconds of the parts of a step. Changes the state: measure it last.

    Args:
        ours: `speed_turn.Ours`, which has trained.
        step_s: float, seconds of a whole step.
        calls: int, timed calls of each part.

    Returns:
        dict: `feed`; `noise`, latents, labels and coins of both turns; `d_turn` and `g_turn`,
        forward and back without update; `update`, both optimizers; `average`, the moving average;
        `rest`, the step less all these: the host, the loop, and what overlaps or fits the cache
        differently in a whole step. `g_forward` (in both turns) and `d_forward` (of one batch, in
        d_turn twice and in g_turn once) are parts of the turns. With `reuse_fakes` a whole step
        has one g_forward less than its turns, and `rest` is less by that.
    """
    milliseconds = {name: 1000 * timed(part, calls) for name, part in parts(ours).items()}
    disjoint = ("feed", "noise", "d_turn", "g_turn", "update", "average")
    rest = 1000 * step_s - sum(milliseconds[name] for name in disjoint)
    return milliseconds | {"rest": rest}


def parts(ours):
    """Functions without arguments by name, of tensors that are made once."""
    import tensorflow as tf

    from keras_sagan.sampling import noise
    from keras_sagan.training.game import apply

    game, strategy, step = ours.game, ours.strategy, ours.state.step
    images, labels = next(ours.iterator)
    images = tf.cast(images, tf.float32) / 127.5 - 1

    def on_replica(function, *inputs):
        graph = tf.function(lambda *tensors: strategy.run(function, args=tensors))
        return lambda: graph(*inputs)

    def draw():
        return game.draw(step, noise.D_STEP), game.draw(step, noise.G_STEP)

    ((latents, fake_labels, _), _) = on_replica(draw)()
    networks = {"d": game.discriminator, "g": game.generator}
    zeros = {
        name: [tf.zeros(v.shape) for v in n.trainable_variables] for name, n in networks.items()
    }

    def update():
        apply(game.d_optimizer, zeros["d"], game.discriminator)
        apply(game.g_optimizer, zeros["g"], game.generator)

    def forward(network):
        return lambda inputs, classes: network(inputs, classes, training=True)

    return {
        "feed": lambda: next(ours.iterator),
        "noise": on_replica(draw),
        "d_turn": on_replica(game.discriminator_step, images, labels, latents, fake_labels),
        "g_turn": on_replica(game.generator_step, latents, fake_labels),
        "update": on_replica(update),
        "average": on_replica(lambda: game.average(step)),
        "g_forward": on_replica(forward(game.generator), latents, fake_labels),
        "d_forward": on_replica(forward(game.discriminator), images, labels),
    }


def timed(part, calls):
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
