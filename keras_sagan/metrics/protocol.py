"""What a score depends on besides the images. Metric names therefore include the protocol.

The same checkpoint has FID 34.7 by one project's protocol and 40.1 by another's
(open-mmlab/mmgeneration, configs/sagan).
"""

import dataclasses
import re

from keras_sagan.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How images become the numbers that a metric sees."""

    name: str  # Suffix of the metric.
    quantize: bool  # Whether fakes are rounded, half up, to the 256 levels of an image file.
    # "legacy": bilinear to 299 pixels, as in TensorFlow 1. "antialias": bicubic, as in Pillow.
    # None: none.
    resize: str | None
    # "unit": levels 0 and 255 become -1 and 1. "centered": (level - 128) / 128, as in the 2015
    # graph.
    scale: str
    fakes: int  # Generated images.
    reals: int | None  # Largest number of real images; None: all.
    splits: int  # Of the inception score.
    kernel: str  # "blocks" or "subsets", see `kernel_distance`.
    labels: str  # "uniform" draws labels at random; "balanced" cycles through the classes.


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        # The released SAGAN evaluation (eval_imagenet.py, utils_ori.py) with TF-GAN.
        Protocol("tfgan", False, "legacy", "unit", 50_000, 50_000, 1, "blocks", "uniform"),
        # bioinf-jku/TTUR on image files; inception score of openai/improved-gan.
        Protocol("ttur", True, "legacy", "centered", 50_000, None, 10, "blocks", "uniform"),
        # GaParmar/clean-fid, mode clean.
        Protocol("clean", True, "antialias", "centered", 50_000, None, 10, "subsets", "uniform"),
        # openai/guided-diffusion, evaluations/evaluator.py.
        Protocol("adm", True, "legacy", "centered", 50_000, None, 10, "subsets", "uniform"),
    )
}
# Our own, for networks trained on the data set, which take images unchanged.
NATIVE = Protocol("native", True, None, "unit", 10_000, 50_000, 1, "blocks", "balanced")


def metric_name(metric: str, count: int, suffix: str) -> str:
    """For example `fid50k/tfgan` for 50,000 images, or `fid1797/tfgan`."""
    short = f"{count // 1000}k" if count and count % 1000 == 0 else str(count)
    return f"{metric}{short}/{suffix}"


# Names of scores by a classifier in the records and reports of version 0.1.0.
EARLIER_NAMES = {"fcd": "fd", "cs": "is", "kcd": "kd", "intra_fcd": "intra_fd"}


def current_name(metric: str) -> str:
    """The current name of a metric, which an old record may have under its earlier name.

    Args:
        metric: with or without count and suffix: `fcd10k/classifier-1234` becomes
            `fd10k/classifier-1234`, and `cs` becomes `is`.
    """
    name = re.split(r"\d", metric, maxsplit=1)[0]
    return EARLIER_NAMES.get(name, name) + metric[len(name) :]


# What must be equal in two rows to compare them. The name contains the number of fakes.
CONDITIONS = ("metric", "n_real", "n_fake", "protocol", "extractor_sha256", "data_sha256")


def differences(first: dict, second: dict) -> list[str]:
    """The conditions in which two rows of `metrics.jsonl` differ, each as text."""
    differing = [name for name in CONDITIONS if first.get(name) != second.get(name)]
    return [f"{name}={first.get(name)} and {second.get(name)}" for name in differing]


def check_comparable(first: dict, second: dict) -> None:
    """Raises a `UsageError` that names the conditions in which two rows differ."""
    if differing := differences(first, second):
        raise UsageError(
            "expected scores of the same metric, number of images, protocol, extractor and data. "
            f"Received: {'; '.join(differing)}"
        )
