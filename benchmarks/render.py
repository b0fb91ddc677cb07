"""Renders a folder of results as a report: Markdown, one HTML file, plots and a summary.

python -m benchmarks.render --report_dir=reports/digits
python -m benchmarks.render --report_dir=reports/speed

A suite's folder has `results.parquet`, `suite.json` and optionally `samples/ROW.png`. A folder of
`benchmarks.speed`, `layers`, `serving` or `scaling` has `results.jsonl`: their output with
`--format=json`, of one run or of several, appended. The report consists of `report.md`,
`report.html`, `summary.csv` and `plots/`, and for `results.jsonl` also `results.parquet`. The same
results always give the same bytes. `benchmarks.attention` and `benchmarks.ranks` write reports of
their own from their `results.jsonl`.
"""

from absl import flags

from benchmarks.report.report_files import render_report
from keras_sagan import commands

flags.DEFINE_string("report_dir", None, "Folder of results; the report is written there. Required.")


def main():
    print(render_report(commands.require("report_dir")))


if __name__ == "__main__":
    commands.run(main, __doc__)
