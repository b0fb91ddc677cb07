"""One process of a measurement of `benchmarks.scaling`: alone, or a worker of a cluster."""

import os
import tempfile

from benchmarks.measure.scaling_model import count_gradient_bytes
from benchmarks.measure.speed_worker import OurTraining, count_macs, matmul_flops_per_s
from benchmarks.measure.subprocesses import answer_request
from keras_sagan.config import Config


def measure_process(config_json, cores, steps, warmup_steps):
    """Times the steps of one training and counts what its replicas exchange.

    `config_json` is a `Config` with `dataset` "synthetic", `cores` lists the processor cores that
    this process may use, and `warmup_steps` precede the timed `steps`.

    Returns:
        dict: `step_s`, seconds of each timed step; `train_images_per_s` of all replicas;
        `exchanged_bytes` and `exchanges`, size and number of the all-reduce operations per step
        and replica; `gradient_bytes`, size of a step's float32 gradients; multiply-accumulates of
        one image forward; the rate of a matrix product; the device.
    """
    os.sched_setaffinity(0, cores)  # Before TensorFlow counts them.
    from keras_sagan.devices.strategy import device_name

    config = Config.from_json(config_json)
    with tempfile.TemporaryDirectory() as folder:
        training = OurTraining(config, folder, steps_per_call=1)
        seconds = training.time_calls(1 + warmup_steps + steps)[1 + warmup_steps :]
        exchanged = all_reduce_bytes(training)
    networks = training.plain_networks()
    return {
        "step_s": seconds,
        "train_images_per_s": config.batch_size * steps / sum(seconds),
        "exchanged_bytes": sum(exchanged),
        "exchanges": len(exchanged),
        "gradient_bytes": count_gradient_bytes(*networks, config.d_steps),
        **count_macs(*networks),
        "matmul_flops_per_s": matmul_flops_per_s(config.precision),
        "device": device_name(),
    }


def all_reduce_bytes(training):
    """Bytes of each all-reduce operation of a replica in a step's graph; a single one has none."""
    import tensorflow as tf

    game, strategy, step = training.game, training.strategy, training.state.step

    @tf.function
    def run_step(batches):
        return strategy.run(game.play, args=(batches, step.read_value()))

    batches = [next(training.iterator) for _ in range(training.config.d_steps)]
    operations = run_step.get_concrete_function(batches).graph.get_operations()
    sums = [each.inputs[0] for each in operations if each.type.startswith("CollectiveReduce")]
    # One graph holds the operations of all replicas of this process, and they are equal.
    sizes = sorted(tensor.shape.num_elements() * tensor.dtype.size for tensor in sums)
    return sizes[:: len(strategy.extended.worker_devices)]


if __name__ == "__main__":
    answer_request(measure_process)
