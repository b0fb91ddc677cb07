"""Sets of feature vectors as every metric takes them, and the files that hold them."""

import numpy as np

from keras_sagan.errors import UsageError


def check_pair(real, fake, at_least=2):
    """Whether two sets of vectors can be compared.

    Raises:
        UsageError: if one is no matrix of at least `at_least` rows, has values that are not
            finite, or their widths differ.
    """
    for name, features in (("real", real), ("fake", fake)):
        check_matrix(f"{name} features", features, at_least)
    if real.shape[1] != fake.shape[1]:
        raise UsageError(
            "expected real and fake features of one width. "
            f"Received: shapes {real.shape} and {fake.shape}"
        )


def check_matrix(name, values, at_least=2):
    """Whether `values` is a finite matrix of at least `at_least` rows; see `check_pair`."""
    if values.ndim != 2 or values.shape[1] < 1 or values.dtype.kind not in "fiu":
        raise UsageError(
            f"expected {name} as a matrix of numbers, one row an image. "
            f"Received: shape {values.shape}, dtype {values.dtype}"
        )
    if len(values) < at_least:
        raise UsageError(f"expected at least {at_least} {name}. Received: {len(values)}")
    # In blocks: a mask of a whole memory-mapped set would be a quarter of it.
    bad = sum((~np.isfinite(part)).any(axis=1).sum() for part in blocks(values))
    if bad:
        raise UsageError(f"expected finite {name}. Received: NaN or infinity in {bad} rows")


def blocks(values, rows=8192):
    """Pieces of at most `rows` rows, so that a big set need not be converted at once."""
    return (values[i : i + rows] for i in range(0, len(values), rows))


def shuffled(values, most=None, seed=2020):
    """At most `most` rows, in an order that depends on their number alone: files may be sorted.

    The legacy generator, whose numbers NumPy keeps; 2020 is torch-fidelity's seed.
    """
    return values[np.random.RandomState(seed).permutation(len(values))[:most]]


def read_npz(path, source):
    """All arrays of a .npz file, by name.

    Args:
        path: the file.
        source: what named it, for the error: a flag.

    Raises:
        UsageError: if it is missing, damaged, no .npz file, or holds pickled objects.
    """
    try:
        # A file that we open ourselves is closed when NumPy stops in the middle.
        with open(path, "rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UsageError(f"{source} must be a .npz file. Received: {path}")
            return {name: file[name] for name in file.files}
    except UsageError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's readers have many kinds between them.
        raise UsageError(
            f"{source} must be a readable .npz file of plain arrays. Received: {path}: {error}"
        ) from error


def read_features(path, source):
    """The arrays of a feature file: `features` `[N, d]`, `logits` `[N, classes]`, `labels` `[N]`.

    Raises:
        UsageError: if there are no features, or the arrays do not belong together.
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
            f"expected labels of {source} as whole numbers, one an image. "
            f"Received: shape {labels.shape}, dtype {labels.dtype}"
        )
    given = [name for name in ("features", "logits", "labels") if name in arrays]
    counts = {name: len(arrays[name]) for name in given}
    if len(set(counts.values())) > 1:
        raise UsageError(f"expected arrays of one length in {source}. Received: {counts}")
    return arrays
