"""What a score depends on besides the images: each protocol moves it, so names say which one.

One checkpoint has FID 34.7 in one project's protocol and 40.1 in another's
(open-mmlab/mmgeneration, configs/sagan).
"""

import dataclasses
import re

from keras_sagan.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Protocol:
    """From generated images to the numbers that a metric sees.

    Attributes:
        name: str, the metric's suffix.
        quantize: bool, whether fakes are rounded to the 256 levels of a file, half up.
        resize: "legacy": TensorFlow 1's bilinear to 299 pixels. "antialias": bicubic, as Pillow's.
            None: none.
        scale: "unit": levels 0 and 255 become -1 and 1. "centered": (level - 128) / 128, as in the
            2015 graph.
        fakes: int, generated images.
        reals: int, the most real images; None: all.
        splits: int, of the inception score.
        kernel: "blocks" or "subsets", see `kernel_distance`.
        labels: "uniform": drawn at random. "balanced": the classes in turn.
    """

    name: str
    quantize: bool
    resize: str | None
    scale: str
    fakes: int
    reals: int | None
    splits: int
    kernel: str
    labels: str


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
# Ours, for classifiers of the data set itself, which take its images as they are.
NATIVE = Protocol("native", True, None, "unit", 10_000, 50_000, 1, "blocks", "balanced")


def metric_name(metric, count, suffix):
    """`fid50k/tfgan` of 50,000 images; counts that are no whole thousands in full."""
    short = f"{count // 1000}k" if count and count % 1000 == 0 else str(count)
    return f"{metric}{short}/{suffix}"


# Names that records and reports had until version 0.1.0, of scores by a classifier.
EARLIER_NAMES = {"fcd": "fd", "cs": "is", "kcd": "kd", "intra_fcd": "intra_fd"}


def current_name(metric: str) -> str:
    """The present name of a metric that a record may have by an earlier one.

    Args:
        metric: with or without count and suffix: `fcd10k/classifier-1234` is now
            `fd10k/classifier-1234`, and `cs` is `is`.
    """
    name, count, suffix = re.fullmatch(r"(\D*)(\d*k?)(.*)", metric, re.DOTALL).groups()
    return EARLIER_NAMES.get(name, name) + count + suffix


# What must be equal for two rows of one metric to be compared. The name has the count of fakes.
CONDITIONS = ("metric", "n_real", "n_fake", "protocol", "extractor_sha256", "data_sha256")


def differences(first, second):
    """The conditions in which two rows of `metrics.jsonl` differ, each as text."""
    return [
        f"{name}={first[name]} and {second[name]}"
        for name in CONDITIONS
        if first[name] != second[name]
    ]


def check_comparable(first, second):
    """Whether the values of two rows mean the same.

    Raises:
        UsageError: naming the conditions in which they differ.
    """
    differing = differences(first, second)
    if differing:
        raise UsageError(
            "expected scores of one metric, number of images, protocol, extractor and data set. "
            f"Received: {'; '.join(differing)}"
        )
