"""Adam with one operation per weight, and learning rates that decay."""

import dataclasses
import math
from typing import Any

import keras
import tensorflow as tf

DECAYS = ("none", "linear", "cosine")


class Adam(keras.optimizers.Adam):
    """Keras' Adam with one fused TensorFlow operation per weight instead of a dozen small ones.

    It has the same formulas and variables, so each restores checkpoints of the other. No `amsgrad`.

    With a decay, the rate of an update is `learning_rate` times a share that falls from 1 to 0. The
    share is a function of `iterations`, so a resumed run continues exactly. `learning_rate` itself
    is the rate without decay: callbacks may assign it, and weight decay uses it.

    Args:
        *args: of Keras' Adam.
        decay: str, how the rate falls to 0: "linear", "cosine" (a half period), or "none".
        decay_steps: int, the number of updates until then; used unless `decay` is "none".
        **kwargs: of Keras' Adam.

    Raises:
        ValueError: if `decay` is unknown, or lacks a positive `decay_steps`.
    """

    def __init__(
        self, *args: Any, decay: str = "none", decay_steps: int = 0, **kwargs: Any
    ) -> None:
        if decay not in DECAYS:
            raise ValueError(f"`decay` must be one of {', '.join(DECAYS)}. Received: {decay=}")
        if decay != "none" and decay_steps < 1:
            raise ValueError(f"`decay_steps` must be at least 1. Received: {decay_steps=}")
        super().__init__(*args, **kwargs)
        self.decay, self.decay_steps = decay, decay_steps

    @property
    def current_learning_rate(self) -> tf.Tensor:
        """The rate of the next update, decayed: a float32 scalar."""
        return self.decayed(tf.cast(tf.convert_to_tensor(self.learning_rate), tf.float32))

    def decayed(self, rate: tf.Tensor) -> tf.Tensor:
        return decay_rate(rate, self.iterations, self.decay, self.decay_steps)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index].value, self._velocities[index].value
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=self.decayed(tf.cast(learning_rate, variable.dtype)),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"decay": self.decay, "decay_steps": self.decay_steps}


@dataclasses.dataclass(frozen=True)
class OptimizerPair:
    """Both optimizers, in the form in which callbacks look for several: each has its own rate."""

    optimizers: list[keras.Optimizer]
    iterations: Any  # Of the generator's, one a step.
    built: bool = True


def decay_rate(rate: tf.Tensor, update: Any, decay: str, decay_steps: int) -> tf.Tensor:
    """The learning rate of an update.

    Args:
        rate: scalar, the rate without decay.
        update: int scalar, the number of updates before this one.
        decay: one of `DECAYS`.
        decay_steps: int, the number of updates after which the rate is 0.
    """
    if decay == "none":
        return rate
    done = tf.minimum(tf.cast(update, rate.dtype) / decay_steps, 1)
    return rate * (1 - done if decay == "linear" else (1 + tf.cos(math.pi * done)) / 2)


def apply_gradients(optimizer, gradients, network) -> list[tf.Tensor]:
    """Applies the mean gradients over replicas; returns this replica's share of the sum.

    Optimizers sum over replicas, so each share is divided by the number of replicas.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    shares = [gradient / replicas for gradient in gradients]
    optimizer.apply(shares, network.trainable_variables)
    return shares
