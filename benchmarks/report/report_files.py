"""Writes the files of a report; see `benchmarks.render`."""

import pathlib

from benchmarks.report import (
    attention_report,
    document,
    ranks_report,
    results,
    speed_report,
    speed_table,
    suite_report,
)
from benchmarks.report.summary import summarize_suite
from keras_sagan.errors import RunError, UsageError
from keras_sagan.files import write_atomically


def render_report(folder: str | pathlib.Path) -> pathlib.Path:
    """Writes the report of a folder of results.

    Returns:
        Path of the HTML page.

    Raises:
        UsageError: if the folder has no results, or broken ones.
        RunError: if it cannot be written.
    """
    folder = pathlib.Path(folder)
    has_lines = (folder / "results.jsonl").is_file()
    if has_lines == (folder / "suite.json").is_file():
        raise UsageError(
            "expected a folder with either suite.json and results.parquet, or results.jsonl. "
            f"Received: report_dir={folder}"
        )
    title, sections, files = line_files(folder) if has_lines else suite_files(folder)
    files |= page_files(title, sections)
    try:
        for path, data in files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            write_atomically(folder / path, data)
    except OSError as error:
        raise RunError(f"{folder / path} cannot be written: {error}") from error
    for plot in (folder / "plots").glob("*.png"):
        if f"plots/{plot.name}" not in files:  # Of an earlier report.
            plot.unlink()
    return folder / "report.html"


def suite_files(folder):
    """Title, sections and files of a suite's report."""
    suite = results.read_suite(folder / "suite.json")
    table = results.read_table(folder / "results.parquet", suite)
    numbers = summarize_suite(table, suite)
    samples = results.read_samples(folder / "samples", suite)
    sections = suite_report.suite_sections(table, suite, numbers, samples)
    return suite["title"], sections, {"summary.csv": encode_csv(numbers)}


def line_files(folder):
    """Title, sections and files of a report on rows of `results.BENCHMARKS`."""
    rows = results.read_lines(folder / "results.jsonl")
    if rows[0]["benchmark"] == "attention":
        maps = results.read_png(folder / attention_report.MAPS)
        return attention_report.TITLE, attention_report.attention_sections(rows, maps), {}
    if rows[0]["benchmark"] == "ranks":
        scores = ranks_report.select_scores(rows)[ranks_report.COLUMNS]
        files = {"summary.csv": encode_csv(scores)}
        return ranks_report.TITLE, ranks_report.ranks_sections(rows), files
    table = speed_table.flatten_rows(rows)
    files = {
        "results.parquet": table.to_parquet(index=False),
        "summary.csv": encode_csv(speed_table.select_summary(table)),
    }
    return speed_report.report_title(table), speed_report.speed_sections(table), files


def encode_csv(frame):
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n").encode()


def page_files(title, sections):
    """The pages and their plots, by path."""
    blocks = [block for section in sections for block in section.blocks]
    groups = [block.members for block in blocks if isinstance(block, document.Pictures)]
    pictures = [picture for members in groups for picture in members]
    plots = {each.path: each.data for each in pictures if each.path.startswith("plots/")}
    texts = {"report.md": document.to_markdown, "report.html": document.to_html}
    return plots | {name: make(title, sections).encode() for name, make in texts.items()}
