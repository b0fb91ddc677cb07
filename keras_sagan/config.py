"""One experiment as one immutable value, filled from flags and flag files."""

import dataclasses
import functools
import json
import os
import shlex
from collections.abc import Iterator
from typing import Any

from keras_sagan import __version__, values
from keras_sagan.errors import UsageError
from keras_sagan.optimization import OptimizationOptions, check_optimization
from keras_sagan.options import (
    DataOptions,
    ExecutionOptions,
    FineTuningOptions,
    ModelOptions,
    RecordOptions,
)
from keras_sagan.preprocessing import Preprocessing, PreprocessingOptions
from keras_sagan.regularization import (
    RegularizationOptions,
    check_regularization,
    parse_policies,
)
from keras_sagan.rules import ALWAYS

# The version that wrote a `config.json` without a `version`.
FIRST_VERSION = "0.1.0"
# Size of the discriminator's smallest feature maps. For images of 32 pixels or fewer, it is a
# quarter of the image size instead: see networks/sagan.py.
LOWEST = 4


@dataclasses.dataclass(frozen=True)
class Config(
    RecordOptions,
    ExecutionOptions,
    RegularizationOptions,
    OptimizationOptions,
    FineTuningOptions,
    PreprocessingOptions,
    DataOptions,
    ModelOptions,
):
    """Everything that a run depends on besides code and data.

    The fields are in `options.py`, `optimization.py`, `preprocessing.py` and `regularization.py`.

    Raises:
        UsageError: if a value, or a combination of values, is impossible.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))
        expanded = {
            "data_dir": values.local_path("data_dir", self.data_dir),
            "tfds_dir": os.path.expanduser(self.tfds_dir),
            "init_from": values.weight_source(self.init_from),
        }
        self.__dict__.update(expanded)  # The only way into a frozen instance.
        for parsed in ("image_set", "profile_range"):  # Report invalid text now, not later.
            getattr(self, parsed)
        check_optimization(self)
        check_regularization(self, self.loss)
        self.check_parts()
        attention = self.g_attention_resolutions + self.d_attention_resolutions
        additions = attention or self.g_spectral_norm or self.d_spectral_norm
        if self.model == "dcgan" and additions:
            raise UsageError(
                "model=dcgan has neither attention nor spectral normalization: it needs "
                "g_attention=none, d_attention=none, g_spectral_norm=false and "
                "d_spectral_norm=false, as configs/dcgan.flags sets. Received: "
                f"g_attention={self.g_attention}, d_attention={self.d_attention}, "
                f"g_spectral_norm={self.g_spectral_norm}, d_spectral_norm={self.d_spectral_norm}"
            )
        self.check_freezing()

    def check_freezing(self) -> None:
        """Raises a `UsageError` unless `freeze_d` blocks exist and have weights to keep."""
        if self.freeze_d and not self.init_from:
            raise UsageError(
                "freeze_d keeps the weights of init_from: it must be 0 without it. "
                f"Received: freeze_d={self.freeze_d}"
            )
        if self.freeze_d > self.d_blocks:
            raise UsageError(
                f"freeze_d must be at most {self.d_blocks}, the blocks of this discriminator. "
                f"Received: {self.freeze_d}"
            )

    def check_parts(self) -> None:
        """Raises a `UsageError` if parts of a step cannot be computed apart from each other."""
        parts = self.accumulate
        if self.sync_batch_norm and (parts > 1 or (self.r1 and self.r1_every > 1)):
            raise UsageError(
                "sync_batch_norm needs accumulate=1 and, with r1, r1_every=1. "
                f"Received: accumulate={parts}, r1={self.r1:g}, r1_every={self.r1_every}"
            )

    @functools.cached_property
    def augmentations(self) -> tuple[str, ...]:
        """What changes the images that the discriminator sees."""
        return parse_policies(self.augment)

    @functools.cached_property
    def image_set(self) -> values.ImageSet:
        """The real images."""
        name = values.DatasetName.parse(self.dataset)
        options = dataclasses.fields(PreprocessingOptions)
        how = {field.name: getattr(self, field.name) for field in options}
        preprocessing = Preprocessing(self.image_size, self.image_channels, **how)
        return values.ImageSet(name, self.split, self.tfds_dir, preprocessing, self.num_classes)

    @functools.cached_property
    def g_attention_resolutions(self) -> tuple[int, ...]:
        """Resolutions at which the generator attends, as heights in pixels."""
        size, wanted = self.image_size, self.g_attention
        return values.attention_resolutions("g_attention", wanted, size, 2 * LOWEST, size)

    @functools.cached_property
    def d_attention_resolutions(self) -> tuple[int, ...]:
        """Resolutions at which the discriminator attends, as heights in pixels."""
        size, wanted = self.image_size, self.d_attention
        lowest = LOWEST if size > 32 else size // 4
        return values.attention_resolutions("d_attention", wanted, size, lowest, size // 2)

    @property
    def d_blocks(self) -> int:
        """Number of blocks of the discriminator; its head is none of them."""
        halvings = (self.image_size // LOWEST).bit_length() - 1
        if self.model == "dcgan":
            return halvings
        return halvings + 1 if self.image_size > 32 else 4

    @functools.cached_property
    def profile_range(self) -> tuple[int, int] | None:
        """Steps between which training is profiled."""
        return values.profile_range(self.profile_steps)

    @property
    def is_symmetry(self) -> bool:
        """Whether the class relates the halves of an image, so that `coherence` applies."""
        return self.image_set.dataset.kind == "symmetry" and self.num_classes != 0

    def with_data_classes(self, num_classes: int) -> "Config":
        """This `Config`, with -1 classes replaced by the data's number, or by 0 if that is 1."""
        if self.num_classes != -1:
            return self
        return dataclasses.replace(self, num_classes=num_classes if num_classes > 1 else 0)

    def with_absolute_paths(self) -> "Config":
        """This `Config`, with absolute paths of the data, the user's images and `init_from`."""
        dataset, data_dir = self.image_set.dataset.absolute_text, os.path.abspath(self.data_dir)
        init_from = values.absolute_source(self.init_from)
        return dataclasses.replace(self, dataset=dataset, data_dir=data_dir, init_from=init_from)

    def changed_flags(self) -> Iterator[str]:
        """Flags that differ from their defaults, quoted for a shell; not of paths and records."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            lasting = not field.metadata["resumable"] or field.name == "total_steps"
            if lasting and value != field.default:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                yield shlex.quote(f"--{field.name}={text}")

    def to_json(self) -> str:
        """The version and all fields as indented JSON text."""
        return json.dumps({"version": __version__, **dataclasses.asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """The inverse of `to_json`, for text of this version and of earlier ones.

        A field missing from the text gets the value that matches the behavior before it existed.

        Raises:
            UsageError: if the text is not a configuration, or is from a newer version.
        """
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"expected the JSON object of a Config. Received: {error}") from error
        if not isinstance(found, dict):
            raise UsageError(f"expected the JSON object of a Config. Received: {found}")
        written_by = found.pop("version", FIRST_VERSION)
        check_version(written_by)
        fields = dataclasses.fields(cls)
        unknown = sorted(set(found) - {field.name for field in fields})
        if unknown:
            raise UsageError(
                f"expected the fields of a Config of keras_sagan {__version__} or earlier. "
                f"Received: {', '.join(unknown)}, written by version {written_by}"
            )
        earlier = {field.name: field.metadata["before"] for field in fields}
        missing = [name for name in earlier if name not in found and earlier[name] is ALWAYS]
        if missing:
            raise UsageError(f"expected the fields of a Config. Received: no {', '.join(missing)}")
        return cls(**earlier | found)


def check_version(written_by: Any) -> None:
    """Raises a `UsageError` if `written_by` is newer than this version, or no version."""
    try:
        newer = release(written_by) > release(__version__)
    except (AttributeError, ValueError) as error:
        raise UsageError(f"expected a version, as {__version__}. Received: {written_by}") from error
    if newer:
        raise UsageError(
            f"expected a Config of keras_sagan {__version__} or earlier. "
            f"Received: version {written_by}"
        )


def release(version: str) -> tuple[int, ...]:
    """A version such as `0.2.1` as a tuple that compares correctly."""
    return tuple(map(int, version.split(".")))


def check_value(field: dataclasses.Field, value: Any) -> None:
    """Checks the type and rule of one field; raises `UsageError` if the value breaks them."""
    number = field.type is float and isinstance(value, int) and not isinstance(value, bool)
    if not (type(value) is field.type or number):
        kind = getattr(field.type, "__name__", field.type)
        raise UsageError(f"{field.name} must be {kind}. Received: {value!r}")
    rule = field.metadata["rule"]
    if not rule.holds(value):
        raise UsageError(f"{field.name} must be {rule.text}. Received: {value}")
    if field.type is int and value >= 2**31:
        raise UsageError(f"{field.name} must be less than 2^31. Received: {value}")
