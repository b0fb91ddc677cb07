"""One turn of `benchmarks.speed`: one setting, measured in a process of its own."""

import dataclasses
import tempfile
import time

import numpy as np

from benchmarks import apart
from benchmarks.speed_parts import breakdown
from keras_sagan.config import Config


def measure(model, config, steps, warmup_steps, steps_per_call, parts=False):
    """Seconds, memory and costs of one setting.

    Args:
        model: name of a model, as in `speed.MODELS`.
        config: `Config` as JSON text, with `dataset` "synthetic".
        steps: int, timed training steps, a multiple of `steps_per_call`.
        warmup_steps: int, of those before them, too.
        steps_per_call: int, steps in one call of the runtime.
        parts: bool, whether to measure the parts of a step, too, where the model is ours.

    Returns:
        dict: `call_s`, seconds of each timed call; `compile_s`, the first call less a usual one;
        images per second; `g_macs`, `d_macs`, of one image forward as the papers write it; peak
        memory of training; the device; `breakdown` if asked for, see `speed_parts`.
    """
    from keras_sagan.devices.strategy import device_name

    config = Config.from_json(config)
    with tempfile.TemporaryDirectory() as folder:
        game = {"keras_naive": KerasNaive}.get(model, Ours)(config, folder, steps_per_call)
        (first,) = game.train(1)
        warmup = warmup_steps // steps_per_call
        seconds = game.train(warmup + steps // steps_per_call)[warmup:]
        peaks, own = apart.peaks(), {}
        sampling = sampling_rate(game.generator, config)
        if parts and isinstance(game, Ours):
            step_s = float(np.median(seconds)) / steps_per_call
            own["breakdown"] = breakdown(game, step_s, steps)
    return {
        "call_s": seconds,
        "compile_s": first - float(np.median(seconds)),
        "train_images_per_s": config.batch_size * steps / sum(seconds),
        "sample_images_per_s": sampling,
        **macs(*game.plain_networks()),
        **peaks,
        "matmul_flops_per_s": matmul_flops_per_s(config.precision),
        "device": device_name(),
        **own,
    }


class Ours:
    """Networks of this project, trained as `train` trains them.

    Args:
        config: `Config`.
        folder: path, where the images are prepared.
        steps_per_call: int.
    """

    def __init__(self, config, folder, steps_per_call):
        import tensorflow as tf

        from keras_sagan.data.batches import make_iterator
        from keras_sagan.devices.strategy import make_strategy
        from keras_sagan.training.game import Game
        from keras_sagan.training.loop import make_train
        from keras_sagan.training.state import State
        from keras_sagan.training.xla import compiles

        self.strategy = make_strategy(config)
        prepared = prepare_in(folder, config)
        with self.strategy.scope():
            self.state = State.create(config)
        self.config, self.generator = config, self.state.ema_generator
        compiled = compiles(config, self.strategy)
        self.game = Game(config, self.state, prepared.record["counts"], compiled)
        self.play = make_train(self.strategy, self.game)
        self.iterator = make_iterator(
            self.strategy, prepared, config.batch_size, config.seed, start=0
        )
        self.num_steps = tf.constant(steps_per_call)

    def train(self, calls):
        """Seconds of each of `calls` calls, with their numbers brought to Python."""
        seconds = []
        for _ in range(calls):
            begun = time.perf_counter()
            numbers, _ = self.play(self.iterator, self.state.step, self.num_steps)
            check_finite([float(number) for number in numbers.values()])
            seconds.append(time.perf_counter() - begun)
        return seconds

    def plain_networks(self):
        """Networks of which every operation is as in the papers, to count."""
        from keras_sagan import networks

        config = dataclasses.replace(self.config, fast=False)
        return networks.generator(config), networks.discriminator(config)


class KerasNaive:
    """The SAGAN of `keras_naive`, trained by `fit` on the same feed."""

    def __init__(self, config, folder, steps_per_call):
        import tensorflow as tf

        from benchmarks import keras_naive
        from benchmarks.keras_naive_fit import as_networks
        from keras_sagan.data.batches import shares
        from keras_sagan.devices.strategy import make_strategy
        from keras_sagan.training.xla import compiles

        strategy = make_strategy(config)
        self.model = keras_naive.make(config, compiles(config, strategy), steps_per_call)
        self.steps_per_call = steps_per_call
        prepared = prepare_in(folder, config)
        self.data = shares(
            tf.distribute.InputContext(), prepared, config.batch_size, config.seed, 0
        )
        self.generator, self.discriminator = as_networks(self.model)

    def train(self, calls):
        """Seconds of each of `calls` calls, from the end of one to the end of the next."""
        import keras

        clock = [time.perf_counter()]

        def tick(_, logs):
            check_finite([float(np.mean(loss)) for loss in logs.values()])
            clock.append(time.perf_counter())

        self.model.fit(
            self.data,
            steps_per_epoch=calls * self.steps_per_call,
            verbose=0,
            shuffle=False,
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=tick)],
        )
        return list(np.diff(clock))

    def plain_networks(self):
        return self.generator, self.discriminator


def prepare_in(folder, config):
    from keras_sagan.data.prepared import prepare

    return prepare(config.image_set, folder, config.max_bad_fraction)


def check_finite(losses):
    if not np.isfinite(losses).all():
        raise FloatingPointError(f"losses are not finite: {losses}")


def sampling_rate(generator, config, seconds=2.0):
    """Images per second of `sampling` in full batches, after one that compiles."""
    from keras_sagan.sampling import sampler as sampling

    sample = sampling.make_sampler(generator)
    count = sampling.batch_of(config.image_size, config.image_size)
    latents = sampling.latents_of(0, count, config.z_dim)
    labels = np.zeros(count, np.int32)
    sample(latents, labels)
    drawn, begun = 0, time.perf_counter()
    while time.perf_counter() < begun + seconds:
        sample(latents, labels)
        drawn += count
    return drawn / (time.perf_counter() - begun)


def macs(generator, discriminator):
    from keras_sagan.networks.macs import forward_macs

    return {"g_macs": forward_macs(generator), "d_macs": forward_macs(discriminator)}


def matmul_flops_per_s(precision, seconds=0.5):
    """The best rate of a product of two square matrices, in the dtype that layers compute in."""
    import tensorflow as tf

    size = 8192 if tf.config.list_physical_devices("GPU") else 1024
    dtype = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    matrix = tf.cast(tf.random.stateless_normal([size, size], [0, 0]), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))
    product().numpy()
    best, until = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter()
        product().numpy()
        best = min(best, time.perf_counter() - begun)
    return 2 * size**3 / best


if __name__ == "__main__":
    apart.answer(measure)
