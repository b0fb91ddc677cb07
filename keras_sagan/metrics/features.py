"""Sets of feature vectors, as all metrics take them, and files that hold them."""

from collections.abc import Iterator
from os import PathLike

import numpy as np

from keras_sagan.errors import UsageError


def check_pair(real: np.ndarray, fake: np.ndarray, at_least: int = 2) -> None:
    """Checks that two sets of vectors can be compared.

    Raises:
        UsageError: if one is not a finite matrix of `at_least` rows or more, or the widths differ.
    """
    for name, features in (("real", real), ("fake", fake)):
        check_matrix(f"{name} features", features, at_least)
    if real.shape[1] != fake.shape[1]:
        raise UsageError(
            "expected real and fake features of the same width. "
            f"Received: shapes {real.shape} and {fake.shape}"
        )


def check_matrix(name: str, values: np.ndarray, at_least: int = 2) -> None:
    """Checks that `values` is a finite matrix of at least `at_least` rows; see `check_pair`."""
    if values.ndim != 2 or values.shape[1] < 1 or values.dtype.kind not in "fiu":
        raise UsageError(
            f"expected {name} as a matrix of numbers, one row per image. "
            f"Received: shape {values.shape}, dtype {values.dtype}"
        )
    if len(values) < at_least:
        raise UsageError(f"expected at least {at_least} {name}. Received: {len(values)}")
    # In blocks: the mask of a memory-mapped set would take a quarter of its size.
    bad = sum((~np.isfinite(part)).any(axis=1).sum() for part in blocks(values))
    if bad:
        raise UsageError(f"expected finite {name}. Received: NaN or infinity in {bad} rows")


def blocks(values: np.ndarray, rows: int = 8192) -> Iterator[np.ndarray]:
    """Pieces of at most `rows` rows, so that a large set is not converted at once."""
    return (values[i : i + rows] for i in range(0, len(values), rows))


def shuffled(values: np.ndarray, most: int | None = None, seed: int = 2020) -> np.ndarray:
    """At most `most` rows, shuffled because files may be sorted by class.

    The order depends only on the number of rows. NumPy guarantees the numbers of its legacy
    generator; 2020 is torch-fidelity's seed.
    """
    return values[np.random.RandomState(seed).permutation(len(values))[:most]]


def read_npz(path: str | PathLike, source: str) -> dict[str, np.ndarray]:
    """All arrays of a .npz file, by name.

    Args:
        path: the file.
        source: the flag that named it, for the error.

    Raises:
        UsageError: if it is missing, damaged, not a .npz file, or holds pickled objects.
    """
    try:
        # Opened here, so that it is closed if NumPy fails.
        with open(path, "rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UsageError(f"{source} must be a .npz file. Received: {path}")
            return {name: file[name] for name in file.files}
    except UsageError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds.
        raise UsageError(
            f"{source} must be a readable .npz file of plain arrays. Received: {path}: {error}"
        ) from error


def read_features(path: str | PathLike, source: str) -> dict[str, np.ndarray]:
    """The arrays of a feature file: `features` `[N, d]`, `logits` `[N, classes]`, `labels` `[N]`.

    Raises:
        UsageError: if there are no features, or the arrays do not fit each other.
    """
    arrays = read_npz(path, source)
    if "features" not in arrays:
        raise UsageError(
            f"{source} must hold an array `features`, and may hold `logits` and `labels`. "
            f"Received: {path} with {', '.join(sorted(arrays)) or 'nothing'}"
        )
    check_matrix(f"features of {source}", arrays["features"])
    if "logits" in arrays:
        check_matrix(f"logits of {source}", arrays["logits"])
    labels = arrays.get("labels")
    if labels is not None and (labels.ndim != 1 or labels.dtype.kind not in "iu"):
        raise UsageError(
            f"expected labels of {source} as whole numbers, one per image. "
            f"Received: shape {labels.shape}, dtype {labels.dtype}"
        )
    names = ("features", "logits", "labels")
    counts = {name: len(arrays[name]) for name in names if name in arrays}
    if len(set(counts.values())) > 1:
        raise UsageError(f"expected arrays of the same length in {source}. Received: {counts}")
    return arrays
