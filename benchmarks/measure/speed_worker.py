"""One measurement of `benchmarks.speed`: one setting."""

import dataclasses
import tempfile
import time

import numpy as np

from benchmarks.measure.speed_parts import measure_breakdown
from benchmarks.measure.subprocesses import answer_request, peak_memory
from keras_sagan.config import Config


def measure_speed(model, config_json, steps, warmup_steps, parts=False):
    """Time, memory and costs of one setting: a model of `speed.MODELS` with a `Config`.

    The `dataset` is "synthetic". Timed `steps` and the `warmup_steps` before them are multiples of
    `steps_per_call`. `parts` also times the parts of a step, if the model is ours.

    Returns:
        dict: `call_s`, seconds of each timed call; `compile_s`, the first call minus a usual one;
        images per second; `g_macs` and `d_macs` of one image forward in the papers' form; peak
        memory of training; the device; `breakdown` if requested, see `speed_parts`.
    """
    from keras_sagan.devices.strategy import device_name

    config = Config.from_json(config_json)
    steps_per_call, breakdown = config.steps_per_call, {}
    with tempfile.TemporaryDirectory() as folder:
        make_training = NaiveTraining if model == "keras_naive" else OurTraining
        training = make_training(config, folder, steps_per_call)
        (first,) = training.time_calls(1)
        warmup = warmup_steps // steps_per_call
        seconds = training.time_calls(warmup + steps // steps_per_call)[warmup:]
        memory = peak_memory()
        sampling = sampling_rate(training.generator, config.image_size, config.z_dim)
        if parts and isinstance(training, OurTraining):
            step_s = float(np.median(seconds)) / steps_per_call
            breakdown["breakdown"] = measure_breakdown(training, step_s, steps)
    return {
        "call_s": seconds,
        "compile_s": first - float(np.median(seconds)),
        "train_images_per_s": config.batch_size * steps / sum(seconds),
        "sample_images_per_s": sampling,
        **count_macs(*training.plain_networks()),
        **memory,
        "matmul_flops_per_s": matmul_flops_per_s(config.precision),
        "device": device_name(),
        **breakdown,
    }


class OurTraining:
    """Networks of this project, trained as `train` trains them, on images prepared in `folder`."""

    def __init__(self, config, folder, steps_per_call):
        import tensorflow as tf

        from keras_sagan.data.batches import make_iterator
        from keras_sagan.data.prepared import prepare
        from keras_sagan.devices.strategy import make_cluster
        from keras_sagan.training.game import GAMES
        from keras_sagan.training.loop import make_train_call
        from keras_sagan.training.session import create_state
        from keras_sagan.training.xla import compiles_by_default

        cluster = make_cluster(config.strategy, config.replicas, config.batch_size)
        self.strategy = cluster.strategy
        prepared = prepare(config.image_set, folder)
        self.state = create_state(self.strategy, config)
        self.config, self.generator = config, self.state.ema_generator
        compiled = compiles_by_default(config.jit_compile)
        self.game = GAMES[config.reuse_fakes](
            config, self.state, prepared.record["counts"], compiled
        )
        self.train = make_train_call(self.strategy, self.game)
        feed = self.strategy, prepared, config.batch_size, config.seed
        self.iterator = make_iterator(*feed, start=0)
        self.num_steps = tf.constant(steps_per_call)

    def time_calls(self, calls):
        """Seconds of each of `calls` calls, including the transfer of their losses."""
        seconds = []
        for _ in range(calls):
            begun = time.perf_counter()
            numbers, _ = self.train(self.iterator, self.state.step, self.num_steps)
            check_finite([float(number) for number in numbers.values()])
            seconds.append(time.perf_counter() - begun)
        return seconds

    def plain_networks(self):
        """Networks in the papers' form, whose operations are counted."""
        from keras_sagan import networks

        config = dataclasses.replace(self.config, fast=False)
        return networks.generator(config), networks.discriminator(config)


class NaiveTraining:
    """The SAGAN of `keras_naive`, trained by `fit` on the same feed."""

    def __init__(self, config, folder, steps_per_call):
        import tensorflow as tf

        from benchmarks.keras_naive.method import as_networks
        from benchmarks.keras_naive.model import make_gan
        from keras_sagan.data.batches import shares
        from keras_sagan.data.prepared import prepare
        from keras_sagan.devices.strategy import make_cluster
        from keras_sagan.training.xla import compiles_by_default

        make_cluster(replicas=1)
        compiled = compiles_by_default(config.jit_compile)
        self.gan = make_gan(config)
        self.gan.compile(jit_compile=compiled, steps_per_execution=steps_per_call)
        self.steps_per_call = steps_per_call
        prepared, context = prepare(config.image_set, folder), tf.distribute.InputContext()
        self.data = shares(context, prepared, config.batch_size, config.seed, 0)
        self.generator, self.discriminator = as_networks(self.gan)

    def time_calls(self, calls):
        """Seconds of each of `calls` calls, from the end of one to the end of the next."""
        import keras

        clock = [time.perf_counter()]

        def record_time(_, logs):
            check_finite([float(np.mean(loss)) for loss in logs.values()])
            clock.append(time.perf_counter())

        self.gan.fit(
            self.data,
            steps_per_epoch=calls * self.steps_per_call,
            verbose=0,
            shuffle=False,
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=record_time)],
        )
        return list(np.diff(clock))

    def plain_networks(self):
        return self.generator, self.discriminator


def check_finite(losses):
    """Raises FloatingPointError if a loss is not finite."""
    if not np.isfinite(losses).all():
        raise FloatingPointError(f"losses are not finite: {losses}")


def sampling_rate(generator, image_size, z_dim, seconds=2.0):
    """Images per second of sampling in full batches, after one that compiles."""
    from keras_sagan.sampling import sampler

    sample = sampler.make_sampler(generator)
    count = sampler.sampling_batch_size(image_size, image_size)
    latents = sampler.latents_of(0, count, z_dim)
    labels = np.zeros(count, np.int32)
    sample(latents, labels)
    drawn, begun = 0, time.perf_counter()
    while time.perf_counter() < begun + seconds:
        sample(latents, labels)
        drawn += count
    return drawn / (time.perf_counter() - begun)


def count_macs(generator, discriminator):
    """Multiply-accumulates of one image forward through each network."""
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
    answer_request(measure_speed)
