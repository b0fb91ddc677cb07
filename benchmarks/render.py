"""Report of a folder of results, as Markdown and as one HTML file, with its plots and summary.

python -m benchmarks.render --report_dir=reports/digits
python -m benchmarks.render --report_dir=reports/speed

A folder of a suite has `results.parquet`, `suite.json` and perhaps `samples/ROW.png`. One of
`benchmarks.speed`, `layers`, `serving` and `scaling` has `results.jsonl`, what they print with
`--format=json`, of one run or of several one after the other. Written beside them are `report.md`,
`report.html`, `summary.csv` and `plots/`, and for the second kind `results.parquet`.
The same results make the same bytes.
"""

from absl import flags

from benchmarks.report import render
from keras_sagan import commands

flags.DEFINE_string("report_dir", None, "Folder of results, to which the report is added.")


def main():
    print(render(commands.require("report_dir")))


if __name__ == "__main__":
    commands.run(main, __doc__)
