"""One process of a turn of `benchmarks.scaling`, alone or as a worker of a cluster."""

import os
import tempfile

from benchmarks import apart
from benchmarks.scaling_model import gradient_bytes
from benchmarks.speed_turn import Ours, macs, matmul_flops_per_s
from keras_sagan.config import Config


def measure(config, cores, steps, warmup_steps):
    """Seconds of the steps of one training, and what its replicas exchange.

    Args:
        config: `Config` as JSON text, with `dataset` "synthetic".
        cores: list of int, those of the processor that this process may use.
        steps: int, timed training steps.
        warmup_steps: int, those before them.

    Returns:
        dict: `step_s`, seconds of each timed step; `train_images_per_s` of all replicas;
        `exchanged_bytes` and `exchanges`, sizes and number of the all-reduce operations of a step,
        of each replica; `gradient_bytes`, of the float32 gradients of a step; MACs of an image
        forward; the rate of a matrix product; the device.
    """
    os.sched_setaffinity(0, cores)  # Before TensorFlow counts them.
    from keras_sagan.devices.strategy import device_name

    config = Config.from_json(config)
    with tempfile.TemporaryDirectory() as folder:
        game = Ours(config, folder, steps_per_call=1)
        seconds = game.train(1 + warmup_steps + steps)[1 + warmup_steps :]
        exchanged = collectives(game)
    networks = game.plain_networks()
    return {
        "step_s": seconds,
        "train_images_per_s": config.batch_size * steps / sum(seconds),
        "exchanged_bytes": sum(exchanged),
        "exchanges": len(exchanged),
        "gradient_bytes": gradient_bytes(*networks, config.d_steps),
        **macs(*networks),
        "matmul_flops_per_s": matmul_flops_per_s(config.precision),
        "device": device_name(),
    }


def collectives(game):
    """Bytes of each all-reduce operation that one replica has in the graph of a step.

    A replica that is alone has none.
    """
    import tensorflow as tf

    @tf.function
    def step(batches):
        return game.strategy.run(game.game.play, args=(batches, game.state.step.read_value()))

    batches = [next(game.iterator) for _ in range(game.config.d_steps)]
    operations = step.get_concrete_function(batches).graph.get_operations()
    sums = [each.inputs[0] for each in operations if each.type.startswith("CollectiveReduce")]
    # Those of all replicas of this process stand in one graph, in turn the same.
    own = sorted(tensor.shape.num_elements() * tensor.dtype.size for tensor in sums)
    return own[:: len(game.strategy.extended.worker_devices)]


if __name__ == "__main__":
    apart.answer(measure)
