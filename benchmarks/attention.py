"""Measures whether attention looks at the position that a texture's class makes equal to its own.

python -m benchmarks.attention --run_dirs=RUN_0,RUN_1

The runs must be on the data set `symmetry` and differ only in their seed. For each attention layer
of both networks and each class, on generated and on real images, the benchmark measures the share
of attention that goes to the counterpart (`metrics/counterpart.py`): with the newest checkpoint,
and with the same networks before their first step. For comparison it reports the shares at the
counterparts of the other three classes, and the share of a uniform map. It writes `results.jsonl`,
a picture and the report to the report folder.
"""

import json
import pathlib

from absl import flags

from benchmarks.report.report_files import render_report
from keras_sagan import commands
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import write_atomically
from keras_sagan.runs.directory import RunDirectory

flags.DEFINE_list("run_dirs", None, "Folders of runs. Required.")
flags.DEFINE_integer("num_images", 256, "Images to measure, a quarter per class.", lower_bound=4)
flags.DEFINE_integer("seed", 1, "Seed of the latents; differs from the runs' own.", 0, 2**31 - 1)
flags.DEFINE_string("report_dir", "reports/attention", "Folder of the report.")


def main():
    given = flags.FLAGS
    runs = [RunDirectory(path) for path in commands.require("run_dirs")]
    for run in runs:
        check_run(run)
    # TensorFlow takes seconds to import, so the runs are checked first.
    from benchmarks.measure.attention_worker import draw_maps, measure_run

    rows = [row for run in runs for row in measure_run(run, given.num_images, given.seed)]
    figure = draw_maps(runs[0], given.seed)
    folder = pathlib.Path(given.report_dir)
    try:
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        figure.savefig(folder / "samples" / "maps.png", dpi=130, metadata={"Software": None})
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error}") from error
    print(f"report: {render_report(folder)}")


def check_run(run):
    """Checks that a run is on `symmetry`, with classes, and that its generator has attention.

    Raises:
        UsageError: if not.
    """
    config = run.read_config()
    attends = config.attention_block == "attention" and config.g_attention_resolutions
    if not (config.is_symmetry and attends):
        raise UsageError(
            "expected runs on symmetry, with classes, whose generator has attention. "
            f"Received: run_dir={run.path}, dataset={config.dataset}, "
            f"num_classes={config.num_classes}, g_attention={config.g_attention}, "
            f"attention_block={config.attention_block}"
        )


if __name__ == "__main__":
    commands.run(main, __doc__)
