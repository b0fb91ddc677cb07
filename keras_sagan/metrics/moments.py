"""Mean and covariance of features, accumulated block by block, and files that hold them."""

import contextlib
import dataclasses
import functools
import json
import operator
from os import PathLike

import numpy as np

from keras_sagan.errors import RunError, UsageError
from keras_sagan.metrics.features import blocks, read_npz

# Names of mean and covariance in files of other projects: TTUR, pytorch-fid, clean-fid and
# guided-diffusion; sngan_projection; BigGAN's TensorFlow tool.
NAMES = (("mu", "sigma"), ("mean", "cov"), ("pool_mean", "pool_var"))


@dataclasses.dataclass(frozen=True)
class Moments:
    """Moments in float64. Adding two gives the moments of the union of disjoint sets.

    Centered at the mean, so that features far from zero lose no digits: Chan et al. 1979,
    "Updating formulae and a pairwise algorithm for computing sample variances", equation 2.1.
    """

    count: int
    mean: np.ndarray  # `[d]`.
    # `[d, d]`, the sum of the outer products of the vectors' deviations from the mean.
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Moments":
        """The moments of `[n, d]` features, converted to float64 block by block."""

        def of_block(part: np.ndarray) -> "Moments":
            part = np.asarray(part, np.float64)
            mean = part.mean(axis=0)
            return cls(len(part), mean, (part - mean).T @ (part - mean))

        return functools.reduce(operator.add, map(of_block, blocks(features)))

    def __add__(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        difference = other.mean - self.mean
        between = np.outer(difference, difference) * (self.count * other.count / count)
        mean = self.mean + difference * (other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    def statistics(self) -> "Statistics":
        """Mean and unbiased covariance; raises `UsageError` if there are fewer than two vectors."""
        if self.count < 2:
            raise UsageError(f"expected at least 2 vectors. Received: {self.count}")
        return Statistics(self.mean, self.scatter / (self.count - 1), self.count)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """A normal distribution."""

    mean: np.ndarray  # `[d]`, float64.
    covariance: np.ndarray  # `[d, d]`, float64, symmetric.
    count: int | None = None  # Vectors it was estimated from; None if a file does not say.
    meta: dict = dataclasses.field(default_factory=dict)  # Where it comes from.

    @functools.cached_property
    def root(self) -> np.ndarray:
        """`[d, r]`, where `root @ root.T` is the covariance and r its rank.

        The cutoff is relative, so that the scale of the features does not matter.
        """
        try:
            values, vectors = np.linalg.eigh(self.covariance)
        except np.linalg.LinAlgError as error:
            raise RunError(f"features are too large for a covariance: {error}") from error
        keep = values > max(values[-1], 0.0) * eigenvalue_cutoff(len(values))
        return vectors[:, keep] * np.sqrt(values[keep])

    def write_npz(self, path: str | PathLike) -> None:
        """Writes `mu` and `sigma`, which other projects read, and everything else we know."""
        count, meta = -1 if self.count is None else self.count, json.dumps(self.meta)
        own = {"mu": self.mean, "sigma": self.covariance, "n": count, "root": self.root}
        with open(path, "wb") as file:
            np.savez(file, **own, meta=meta)


def eigenvalue_cutoff(width: int) -> float:
    """Eigenvalues below this share of the largest one are rounding errors."""
    return width * np.finfo(np.float64).eps


def read_statistics(path: str | PathLike, source: str) -> Statistics:
    """The `Statistics` in a .npz file of this or another project.

    Raises:
        UsageError: if it cannot be read or does not hold a mean and a covariance.
    """
    arrays = read_npz(path, source)
    names = next((pair for pair in NAMES if set(pair) <= set(arrays)), None)
    if names is None:
        expected = ", ".join("/".join(pair) for pair in NAMES)
        raise UsageError(
            f"{source} must hold mean and covariance as one of {expected}. "
            f"Received: {path} with {', '.join(sorted(arrays)) or 'nothing'}"
        )
    mean, covariance = (arrays[name] for name in names)
    square = mean.ndim == 1 and covariance.shape == 2 * mean.shape and len(mean)
    numbers = mean.dtype.kind in "fiu" and covariance.dtype.kind in "fiu"
    if not (square and numbers and all(np.isfinite(part).all() for part in (mean, covariance))):
        raise UsageError(
            f"expected a finite mean [d] and covariance [d, d] in {source}. "
            f"Received: {path}, shapes {mean.shape} and {covariance.shape}"
        )
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    count, meta = own_records(arrays)
    statistics = Statistics(mean, (covariance + covariance.T) / 2, count, meta)
    root = arrays.get("root")
    if meta and root is not None and root.dtype == np.float64 and len(root) == len(mean):
        statistics.__dict__["root"] = root  # Where `cached_property` looks.
    return statistics


def own_records(arrays: dict[str, np.ndarray]) -> tuple[int | None, dict]:
    """Number of vectors, None if unknown, and provenance, as `write_npz` has written them."""
    count, meta = arrays.get("n", np.array(-1)), {}
    with contextlib.suppress(json.JSONDecodeError):
        meta = json.loads(str(arrays.get("meta")))
    known = count.shape == () and count.dtype.kind in "iu" and count >= 0
    return int(count) if known else None, meta if isinstance(meta, dict) else {}
