"""How the networks learn: the options."""

import dataclasses

from keras_sagan.errors import UsageError
from keras_sagan.rules import DECAY, DURATION, POSITIVE, SHARE, at_least, one_of, option


@dataclasses.dataclass(frozen=True)
class OptimizationOptions:
    """The losses, the optimizers, and how long training lasts."""

    loss: str = option(
        "hinge",
        "Adversarial loss. wasserstein needs a discriminator with spectral normalization or a "
        "gradient penalty.",
        one_of("hinge", "non_saturating", "least_squares", "wasserstein"),
    )
    batch_size: int = option(256, "Images per step, over all replicas.", at_least(1))
    accumulate: int = option(
        1,
        "Micro-batches into which each replica divides its share of the batch, to save memory. "
        "Their gradients are averaged. Batch statistics come from each micro-batch; spectral "
        "normalization advances in the first one.",
        at_least(1),
        before=1,
    )
    d_steps: int = option(1, "Discriminator updates per step.", at_least(1))
    reuse_fakes: bool = option(
        False,
        "Train the generator on the fakes that the discriminator has just learned from, which "
        "saves a forward pass. Otherwise, train it on new ones.",
        before=False,
    )
    g_lr: float = option(1e-4, "Learning rate of the generator (Adam).", POSITIVE)
    d_lr: float = option(4e-4, "Learning rate of the discriminator (Adam).", POSITIVE)
    lr_decay: str = option(
        "none",
        "How both learning rates fall to 0 over lr_decay_steps: linear, or cosine (half a period).",
        one_of("none", "linear", "cosine"),
        before="none",
    )
    lr_decay_steps: int = option(
        0,
        "Steps over which the learning rates fall to 0, with lr_decay. A run without total_minutes "
        "must end by then, since later steps would learn nothing.",
        at_least(0),
        before=0,
    )
    beta_1: float = option(0.0, "Adam's decay of the first moment, in [0, 1).", DECAY)
    beta_2: float = option(0.999, "Adam's decay of the second moment, in [0, 1).", DECAY)
    ema_decay: float = option(
        0.9999, "Decay of the moving average of the generator, in [0, 1].", SHARE
    )
    ema_start: int = option(
        2000, "Step at which averaging starts; until then, weights are copied.", at_least(0)
    )
    total_steps: int = option(1_000_000, "Generator updates.", at_least(1), resumable=True)
    total_minutes: float = option(
        0.0,
        "Minutes of training after which a run ends early. Compiling the first step "
        "counts; work between steps (scores, samples, checkpoints) does not. 0: no limit.",
        DURATION,
        resumable=True,
        before=0.0,
    )
    seed: int = option(0, "Seed of weights, data order and latents.", at_least(0))


def check_optimization(options: OptimizationOptions) -> None:
    """Checks the options against each other.

    Raises:
        UsageError: if the decay of learning rates has no end, or the end no decay, or if the batch
            cannot be divided into micro-batches.
    """
    decay, steps = options.lr_decay, options.lr_decay_steps
    received = f"Received: lr_decay={decay}, lr_decay_steps={steps}"
    if decay == "none" and steps:
        raise UsageError(f"lr_decay_steps needs lr_decay=linear or lr_decay=cosine. {received}")
    if decay != "none" and not steps:
        raise UsageError(f"lr_decay={decay} needs lr_decay_steps of at least 1. {received}")
    parts = options.accumulate
    if options.batch_size % parts:
        raise UsageError(
            "batch_size must be a multiple of accumulate. "
            f"Received: batch_size={options.batch_size}, accumulate={parts}"
        )
    if parts > 1 and options.reuse_fakes:
        raise UsageError(
            "reuse_fakes keeps a whole batch of fakes, so it needs accumulate=1. "
            f"Received: accumulate={parts}"
        )
