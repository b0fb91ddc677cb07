"""Features of many images, computed by the replicas of all processes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_sagan.errors import RunError
from keras_sagan.progress import Progress


class Batches(NamedTuple):
    """The inputs of a network, to be read in batches."""

    title: str  # What one input is, for the progress.
    count: int
    # Function of start and count to a tuple of arrays of that many rows. It also gives rows beyond
    # the last input, which are ignored.
    read_batch: Callable[[int, int], tuple[np.ndarray, ...]]


def extract_features(
    strategy: tf.distribute.Strategy, network: Callable, batches: Batches, batch_size: int
) -> list[np.ndarray]:
    """Runs `network` over all batches, each split evenly over the replicas of all processes.

    Args:
        strategy: where the replicas are.
        network: function of a replica's share of a batch to features, logits, and perhaps more.
        batches: the inputs.
        batch_size: inputs at a time, over all replicas.

    Returns:
        Features `[count, d]`, logits `[count, classes]`, and whatever else `network` returns:
        float32, in the order of the inputs.

    Raises:
        RunError: if a feature or a logit is not finite.
    """

    @tf.function
    def run_batch(*arrays):
        outputs = strategy.run(network, arrays)
        return [strategy.gather(output, axis=0) for output in outputs]

    results = []
    with Progress(batches.title, batches.count, "images") as progress:
        for start in range(0, batches.count, batch_size):
            arrays = batches.read_batch(start, batch_size)
            outputs = run_batch(*(split_over_replicas(strategy, array) for array in arrays))
            results.append([output.numpy() for output in outputs])
            progress.update(min(batch_size, batches.count - start))
    arrays = [np.concatenate(parts)[: batches.count] for parts in zip(*results, strict=True)]
    for name, values in zip(("features", "logits"), arrays[:2], strict=True):
        bad = np.count_nonzero(~np.isfinite(values).all(axis=1))
        if bad:
            raise RunError(f"expected finite {name}. Received: NaN or infinity for {bad} images")
    return arrays


def split_over_replicas(strategy: tf.distribute.Strategy, array: np.ndarray) -> tf.Tensor:
    """A value of which each replica has its share of the rows."""
    share = len(array) // strategy.num_replicas_in_sync

    def share_of(context):
        return tf.constant(array[context.replica_id_in_sync_group * share :][:share])

    return strategy.experimental_distribute_values_from_function(share_of)
