"""Latency and throughput of an exported generator, by batch size, as a server runs it.

python -m benchmarks.serving --export_dir=exports/digits
python -m benchmarks.serving --export_dir=exports/digits --batch_sizes=1,8 --format=json

TensorFlow Serving calls Session::Run on the graph of a version; so does this, without a network,
JSON or waiting for a batch to fill. Every signature with every batch size is a setting and gives a
row. In each round every setting has one turn, in a process of its own; ratios are to the first
setting in the same round, of images per second. Percentiles are over the calls of all rounds. A
setting that fails is a row that says why, and then the exit code is 1.
"""

import itertools
import pathlib
import statistics

import numpy as np
from absl import flags

from benchmarks import apart
from keras_sagan import commands
from keras_sagan.errors import UsageError
from keras_sagan.runs.provenance import PACKAGES

COLUMNS = (
    *("signature", "batch_size", "status", "error", "images_per_s", "ratio"),
    *("ratio_least_and_most", "ms_p50", "ms_p95", "ms_p99", "load_s"),
    *("host_peak_mib", "device_peak_mib", "device"),
)
SIGNATURES = ("serving_default", "png")

flags.DEFINE_string("export_dir", None, "Folder of versions, as export writes it. Required.")
flags.DEFINE_integer("version", None, "Which one. Default: the newest.", lower_bound=0)
flags.DEFINE_multi_enum("signature", SIGNATURES, SIGNATURES, "May be given several times.")
flags.DEFINE_list("batch_sizes", ["1", "2", "4", "8", "16", "32"], "Images a call.")
flags.DEFINE_integer("calls", 50, "Timed calls a turn.", lower_bound=1)
flags.DEFINE_integer("warmup_calls", 5, "Calls before them.", lower_bound=0)
flags.DEFINE_integer("rounds", 3, "Turns of each setting.", lower_bound=1)
flags.DEFINE_enum("format", "text", ["text", "json"], "json: one object a row.")


def main():
    given = flags.FLAGS
    batch_sizes = commands.integers("batch_sizes", 1, 2**20)
    path = find_version(commands.require("export_dir"), given.version)
    counts = {name: getattr(given, name) for name in ("calls", "warmup_calls")}
    settings = [
        {"signature": signature, "batch_size": batch_size}
        for signature, batch_size in itertools.product(given.signature, batch_sizes)
    ]
    requests = [
        {
            "name": " ".join(map(str, setting.values())),
            "request": setting | counts | {"path": str(path)},
        }
        for setting in settings
    ]
    turns = apart.interleaved("benchmarks.serving_turn", requests, given.rounds)
    common = {"model": path.parent.name, "version": int(path.name)} | counts
    common |= {"rounds": given.rounds} | apart.provenance(PACKAGES)
    rows = [
        {"benchmark": "serving"} | setting | summary(own, turns[0]) | common
        for setting, own in zip(settings, turns, strict=True)
    ]
    apart.report(rows, given.format, COLUMNS)


def find_version(export_dir, version):
    """The folder of a version; None: the newest.

    Raises:
        UsageError: if there is none.
    """
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


def summary(turns, first_turns):
    """Figures of a setting from its turns.

    Args:
        turns: list of dicts, what `serving_turn.measure` gave in each round.
        first_turns: the same of the setting that ratios are to.
    """
    if "error" in turns[-1]:
        return {"status": "failed", "error": turns[-1]["error"]}
    milliseconds = [1000 * seconds for turn in turns for seconds in turn["call_s"]]
    percentiles = {
        f"ms_p{rank}": apart.rounded(float(np.percentile(milliseconds, rank)))
        for rank in (50, 95, 99)
    }
    rates = [turn["images_per_s"] for turn in turns]
    return {
        "status": "ok",
        "image_shape": turns[0]["image_shape"],
        "timed_calls": len(milliseconds),
        "images_per_s": apart.rounded(statistics.median(rates)),
        **percentiles,
        "load_s": apart.rounded(statistics.median(turn["load_s"] for turn in turns)),
        **apart.highest_peaks(turns),
        "images_per_s_by_round": [apart.rounded(rate) for rate in rates],
        **apart.ratios("images_per_s", turns, first_turns),
        "device": turns[0]["device"],
    }


if __name__ == "__main__":
    commands.run(main, __doc__)
