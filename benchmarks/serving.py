"""Latency and throughput of an exported generator, by batch size, as a server runs it.

python -m benchmarks.serving --export_dir=exports/digits
python -m benchmarks.serving --export_dir=exports/digits --batch_sizes=1,8 --format=json

TensorFlow Serving calls Session::Run on the graph of a version. This benchmark does the same,
without a network, JSON, or waiting for a batch to fill.

Every signature with every batch size is a setting and gives one row. In each round, every setting
is measured once in its own process. Ratios are of images per second, to the first setting in the
same round. Percentiles are over the calls of all rounds. A setting that fails gives a row with the
reason, and the exit code is then 1.
"""

import itertools
import pathlib

import numpy as np
from absl import flags

from benchmarks.measure.subprocesses import (
    compute_ratios,
    gather_provenance,
    max_peaks,
    measure_in_rounds,
    median_digits,
    print_rows,
    round_digits,
)
from keras_sagan import commands
from keras_sagan.errors import UsageError
from keras_sagan.runs.provenance import PACKAGES

COLUMNS = (
    *("signature", "batch_size", "status", "error", "images_per_s", "ratio"),
    *("ratio_least_and_most", "ms_p50", "ms_p95", "ms_p99", "load_s"),
    *("host_peak_mib", "device_peak_mib", "device"),
)
SIGNATURES = ("serving_default", "png")

flags.DEFINE_string("export_dir", None, "Folder of versions, as written by export. Required.")
flags.DEFINE_integer("version", None, "Which version. Default: the newest.", lower_bound=0)
flags.DEFINE_multi_enum("signature", SIGNATURES, SIGNATURES, "Can be given several times.")
flags.DEFINE_list("batch_sizes", ["1", "2", "4", "8", "16", "32"], "Images per call.")
flags.DEFINE_integer("calls", 50, "Timed calls per round.", lower_bound=1)
flags.DEFINE_integer("warmup_calls", 5, "Untimed calls before them.", lower_bound=0)
flags.DEFINE_integer("rounds", 3, "Measurements of each setting.", lower_bound=1)
flags.DEFINE_enum("format", "text", ["text", "json"], "json: one JSON object per row.")


def main():
    given = flags.FLAGS
    batch_sizes = commands.integers("batch_sizes", 1, 2**20)
    path = find_version(commands.require("export_dir"), given.version)
    counts = {name: getattr(given, name) for name in ("calls", "warmup_calls")}
    pairs = list(itertools.product(given.signature, batch_sizes))
    settings = [{"signature": signature, "batch_size": size} for signature, size in pairs]
    requests = [
        {"name": f"{signature} {size}", "request": setting | counts | {"path": str(path)}}
        for setting, (signature, size) in zip(settings, pairs, strict=True)
    ]
    answers = measure_in_rounds("benchmarks.measure.serving_worker", requests, given.rounds)
    common = {"model": path.parent.name, "version": int(path.name)} | counts
    common |= {"rounds": given.rounds} | gather_provenance(PACKAGES)
    rows = [
        {"benchmark": "serving"} | setting | summarize_serving(own, answers[0]) | common
        for setting, own in zip(settings, answers, strict=True)
    ]
    print_rows(rows, given.format, COLUMNS)


def find_version(export_dir, version):
    """The folder of a version, by default of the newest; without one, a `UsageError`."""
    base = pathlib.Path(export_dir).resolve()
    folders = base.iterdir() if base.is_dir() else []
    versions = {int(path.name): path for path in folders if path.name.isdecimal()}
    wanted = max(versions, default=None) if version is None else version
    if wanted not in versions or not (versions[wanted] / "saved_model.pb").is_file():
        raise UsageError(
            "expected a folder with VERSION/saved_model.pb. "
            f"Received: --export_dir={export_dir}, version={version}"
        )
    return versions[wanted]


def summarize_serving(measurements, references):
    """Figures of a setting, from one `serving_worker.measure_serving` per round.

    `references` are the same of the first setting, to which ratios are computed.
    """
    if "error" in measurements[-1]:
        return {"status": "failed", "error": measurements[-1]["error"]}
    first, ranks = measurements[0], (50, 95, 99)
    milliseconds = [1000 * seconds for each in measurements for seconds in each["call_s"]]
    values = map(round_digits, np.percentile(milliseconds, ranks).tolist())
    percentiles = {f"ms_p{rank}": value for rank, value in zip(ranks, values, strict=True)}
    return {
        "status": "ok",
        "image_shape": first["image_shape"],
        "timed_calls": len(milliseconds),
        "images_per_s": median_digits(measurements, "images_per_s"),
        **percentiles,
        "load_s": median_digits(measurements, "load_s"),
        **max_peaks(measurements),
        "images_per_s_by_round": [round_digits(each["images_per_s"]) for each in measurements],
        **compute_ratios("images_per_s", measurements, references),
        "device": first["device"],
    }


if __name__ == "__main__":
    commands.run(main, __doc__)
