"""Writes the files of a report; see `benchmarks.render`."""

import pathlib

from benchmarks.report import (
    attention_report,
    document,
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
    for path, data in (files | page_files(title, sections)).items():
        write_file(folder / path, data)
    remove_other_plots(folder, sections)
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
    plots = {picture.path: picture.data for picture in pictures_of(sections)}
    plots = {path: data for path, data in plots.items() if path.startswith("plots/")}
    texts = {"report.md": document.to_markdown, "report.html": document.to_html}
    return plots | {name: make(title, sections).encode() for name, make in texts.items()}


def pictures_of(sections):
    blocks = [block for section in sections for block in section.blocks]
    groups = [block for block in blocks if isinstance(block, document.Pictures)]
    return [picture for group in groups for picture in group.members]


def write_file(path, data):
    """Writes a file completely or not at all.

    Raises:
        RunError: if the folder cannot be written.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}") from error


def remove_other_plots(folder, sections):
    """Removes plots of an earlier report that this one does not show."""
    shown = {folder / picture.path for picture in pictures_of(sections)}
    for path in (folder / "plots").glob("*.png"):
        if path not in shown:
            path.unlink()
