"""How a discriminator with few images is kept from learning them by heart: the options."""

import dataclasses
from collections.abc import Sequence

from keras_sagan.errors import UsageError
from keras_sagan.rules import DECAY, DURATION, SHARE, at_least, option

# In the order in which they are applied.
POLICIES = ("color", "translation", "cutout", "diffusion")


@dataclasses.dataclass(frozen=True)
class RegularizationOptions:
    """What keeps the discriminator from learning its images by heart."""

    augment: str = option(
        "none",
        "Random changes to every image that the discriminator sees, real or fake, comma-separated: "
        "color, translation, cutout, and diffusion, which adds noise. none: no changes.",
        before="none",
    )
    augment_p: float = option(
        1.0,
        "Probability of each change, in [0, 1]; for diffusion, the strength of the noise instead. "
        "With augment_target, it starts at 0, and this is its upper limit.",
        SHARE,
        before=1.0,
    )
    augment_target: float = option(
        0.0,
        "Adapt the probability (ADA): it grows while r_t, the mean sign of the discriminator's "
        "logits of real images, is above this value, e.g. 0.6, and shrinks otherwise. 0: constant.",
        DECAY,
        before=0.0,
    )
    augment_images: int = option(
        500_000,
        "Real images over which augment_target can change the probability by 1.",
        at_least(1),
        before=500_000,
    )
    lecam: float = option(
        0.0,
        "Weight of LeCam regularization, which keeps the logits of real images near the average of "
        "fakes and vice versa, e.g. 0.3. 0: none.",
        DURATION,
        before=0.0,
    )
    r1: float = option(
        0.0,
        "Weight gamma of the R1 gradient penalty on real images, e.g. 1. 0: none.",
        DURATION,
        before=0.0,
    )
    r1_every: int = option(
        16,
        "Discriminator updates between two with the R1 penalty, which then counts as many times.",
        at_least(1),
        before=16,
    )


def parse_policies(text: str) -> tuple[str, ...]:
    """The augmentations that `Config.augment` names, in the order in which they are applied.

    Raises:
        UsageError: if one is unknown or named twice.
    """
    if text == "none":
        return ()
    policies = sort_policies(text.split(","))
    if not policies:
        raise UsageError(
            f"augment must be none, or each at most once of {', '.join(POLICIES)}. Received: {text}"
        )
    return policies


def sort_policies(names: Sequence[str]) -> tuple[str, ...]:
    """Augmentations in the order of their application; () if one is unknown or occurs twice."""
    stripped = [name.strip() for name in names]
    found = tuple(name for name in POLICIES if name in stripped)
    return found if len(found) == len(stripped) else ()


def check_regularization(options: RegularizationOptions, loss: str) -> None:
    """Checks the options against each other.

    Raises:
        UsageError: if one of them would have no effect, or no meaning.
    """
    policies, target = parse_policies(options.augment), options.augment_target
    if target and not policies:
        raise UsageError(f"augment_target needs augment. Received: augment_target={target}")
    if policies and not options.augment_p:
        raise UsageError("augment needs a positive augment_p. Received: augment_p=0")
    if target and loss == "wasserstein":
        raise UsageError(
            "augment_target needs a loss in which the sign of a logit means real or fake. "
            f"Received: loss={loss}"
        )
