"""Flag values with a grammar of their own, each parsed once, where it enters the program."""

import dataclasses
import os
import pathlib
import re

from keras_sagan.errors import UsageError
from keras_sagan.preprocessing import Preprocessing

EMBEDDED_SETS = ("digits", "symmetry", "synthetic")
# Before the name of a preset, where the path of a run could be, too.
PRESET = "preset:"
# Largest seed of latents: TensorFlow's seeds are int32.
LARGEST_SEED = 2**31 - 1
# Number of images and seed of `symmetry` without numbers.
SYMMETRY_DEFAULTS = (10_000, 0)


def local_path(name: str, text: str) -> str:
    """A path as a user writes it, with the home folder in the place of `~`.

    Args:
        name: of the flag or argument, for the error.
        text: an absolute or relative path.

    Raises:
        UsageError: if it is an address, as gs://bucket/run, or not a name in UTF-8.
    """
    try:
        valid = "\0" not in os.fsencode(text).decode("utf-8")
    except UnicodeError:
        valid = False
    if not valid:
        raise UsageError(f"{name} must be a path in UTF-8. Received: {name}={text!r}")
    if re.match(r"[A-Za-z][\w+.-]*://", text):
        raise UsageError(
            f"{name} must be a path on this machine: mount remote storage to use it. "
            f"Received: {name}={text}"
        )
    return os.path.expanduser(text)


def weight_source(text: str) -> str:
    """What `init_from` names: `preset:NAME`, or the path of a run with `~` expanded.

    Raises:
        UsageError: if the path is none on this machine; see `local_path`.
    """
    return text if text.startswith(PRESET) else local_path("init_from", text)


def absolute_source(text: str) -> str:
    """The result of `weight_source` with an absolute path."""
    return text if not text or text.startswith(PRESET) else os.path.abspath(text)


# Kinds of sets in the user's own files, and what their paths lead to.
OWN_SETS = {"folder": "a folder", "zip": "a ZIP archive", "npz": "an NPZ file"}
OWN_SETS |= {"idx": "a folder of IDX files"}


@dataclasses.dataclass(frozen=True)
class DatasetName:
    """Where images come from."""

    text: str  # As the user wrote it.
    kind: str  # Of `OWN_SETS`, of `EMBEDDED_SETS`, or "tfds".
    path: pathlib.Path = pathlib.Path()  # Absolute path of one of `OWN_SETS`.
    count: int = 0  # Number of images of `symmetry`.
    seed: int = 0  # Seed of `symmetry`.

    @property
    def is_own(self) -> bool:
        """Whether its images are in the user's own files."""
        return self.kind in OWN_SETS

    @property
    def public_text(self) -> str:
        """Its text with only the last part of a path, for pages and models that go to others."""
        return f"{self.kind}:{self.path.name}" if self.is_own else self.text

    @property
    def root(self) -> pathlib.Path:
        """The folder that the user's files are in."""
        return self.path.parent if self.kind in ("zip", "npz") else self.path

    @property
    def absolute_text(self) -> str:
        """Its text with an absolute path."""
        return f"{self.kind}:{self.path}" if self.is_own else self.text

    @classmethod
    def parse(cls, text: str) -> "DatasetName":
        """Parses KIND:PATH or the name of an embedded set; any other name is a TFDS set.

        Raises:
            UsageError: if it is none of these.
        """
        kind, _, rest = text.partition(":")
        if kind in OWN_SETS:
            if not rest:
                expected = f"{kind}:PATH of {OWN_SETS[kind]}"
                raise UsageError(f"dataset must be {expected}. Received: {text}")
            return cls(text, kind, pathlib.Path(os.path.abspath(os.path.expanduser(rest))))
        if kind == "symmetry":
            return cls(text, kind, pathlib.Path(), *symmetry_numbers(text))
        return cls(text, kind if kind in EMBEDDED_SETS else "tfds")


def symmetry_numbers(text: str) -> tuple[int, int]:
    """Count and seed of `symmetry`, `symmetry:COUNT` or `symmetry:COUNT:SEED`."""
    numbers = text.split(":")[1:]
    valid = len(numbers) <= 2 and all(each.isdecimal() and len(each) < 10 for each in numbers)
    given = [*map(int, numbers)] if valid else [0]
    count, seed = (*given, *SYMMETRY_DEFAULTS[len(given) :])
    if count < 4:
        raise UsageError(
            "dataset must be symmetry, symmetry:COUNT or symmetry:COUNT:SEED, with at least an "
            f"image for each of the four classes. Received: {text}"
        )
    return count, seed


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Everything that determines the pixels and labels of a prepared set."""

    dataset: DatasetName  # Where its images come from.
    split: str  # Name of a split of a folder with splits, or of a TensorFlow Datasets set.
    tfds_dir: str  # Where TensorFlow Datasets keeps its own files; empty: its default.
    preprocessing: Preprocessing  # How their files become pixels.
    num_classes: int  # Classes that the data must have; -1: any number, 0: none are used.

    @property
    def image_size(self) -> int:
        """Height and width, in pixels."""
        return self.preprocessing.size

    @property
    def image_channels(self) -> int:
        """1 or 3."""
        return self.preprocessing.channels

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (self.image_size, self.image_size, self.image_channels)


def attention_resolutions(
    name: str, text: str, image_size: int, lowest: int, highest: int
) -> tuple[int, ...]:
    """The resolutions at which a network attends, from low to high.

    Args:
        name: of the flag, for the error.
        text: "auto", "none", empty, or comma-separated heights in pixels.
        image_size: in pixels.
        lowest: height of the smallest feature maps that attention can follow.
        highest: of its largest.

    Raises:
        UsageError: if the network has no feature maps of such a height.
    """
    if text in ("none", ""):
        return ()
    if text == "auto":
        return (min(image_size // 2, 64),)
    occurring = [lowest << i for i in range((highest // lowest).bit_length())]
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) in occurring for part in parts):
        raise UsageError(
            f"{name} must be auto, none, or some of {','.join(map(str, occurring))}, the "
            f"resolutions of this network's feature maps at image_size={image_size}. "
            f"Received: {text}"
        )
    return tuple(sorted({int(part) for part in parts}))


def profile_range(text: str) -> tuple[int, int] | None:
    """Steps between which training is profiled; None for an empty text.

    Raises:
        UsageError: if it is not two numbers, the smaller one first.
    """
    if not text:
        return None
    parts = text.split(",")
    if not all(map(str.isdecimal, parts)) or len(parts) != 2 or int(parts[0]) >= int(parts[1]):
        raise UsageError(
            "profile_steps must be empty or two numbers, the smaller one first, as 20,25. "
            f"Received: {text}"
        )
    return int(parts[0]), int(parts[1])


@dataclasses.dataclass(frozen=True)
class CheckpointChoice:
    """The choice of one or more checkpoints of a run."""

    parts: tuple[str | int, ...]  # Each "newest", "best", "all", or a step.

    @classmethod
    def parse(cls, text: str, several: bool = True) -> "CheckpointChoice":
        """Parses newest, best or a step; if `several`, also all and comma-separated lists.

        Raises:
            UsageError: if it is something else.
        """
        words = ("newest", "best", "all") if several else ("newest", "best")
        parts = [part.strip() for part in text.split(",")]
        valid = all(part in words or (part.isascii() and part.isdecimal()) for part in parts)
        if not valid or (len(parts) > 1 and not several):
            grammar = "newest, best or a step"
            if several:
                grammar = "newest, best, all, or steps as 500,1000"
            raise UsageError(f"--checkpoint must be {grammar}. Received: {text}")
        return cls(tuple(int(part) if part.isdecimal() else part for part in parts))

    @property
    def is_one(self) -> bool:
        """Whether it names a single checkpoint."""
        return len(self.parts) == 1 and self.parts != ("all",)

    def __str__(self) -> str:
        return ",".join(map(str, self.parts))


@dataclasses.dataclass(frozen=True)
class ExtractorChoice:
    """The choice of the network that extracts features from images."""

    # "classifier" or "rotation", trained on the data; "auto", one of the two; or "inception".
    kind: str
    path: str = ""  # File, folder or URL of the Inception network; otherwise empty.

    @classmethod
    def parse(cls, text: str) -> "ExtractorChoice":
        """Parses auto, classifier, rotation or inception:PATH; otherwise raises `UsageError`."""
        kind, _, path = text.partition(":")
        if "://" not in path:
            path = os.path.expanduser(path)
        if text not in ("auto", "classifier", "rotation") and not (kind == "inception" and path):
            raise UsageError(
                "--extractor must be auto, classifier, rotation or inception:PATH. "
                f"Received: {text}"
            )
        return cls(kind, path)

    def resolve(self, num_classes: int) -> "ExtractorChoice":
        """The choice for data of that many classes, which decides what "auto" is."""
        if self.kind != "auto":
            return self
        return ExtractorChoice("classifier" if num_classes > 1 else "rotation")

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}" if self.path else self.kind
