"""Reports: nothing hidden, nothing from elsewhere, the same bytes from the same results."""

import subprocess
import sys

import pandas as pd
import pytest
import suites
from rendered import ROOT, Page, read, render, speed_rows, write_speed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = suites.write(tmp_path_factory.mktemp("small") / "report")
    assert render(path) == (0, "")
    return path


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text())


@pytest.fixture(scope="module")
def speed(tmp_path_factory):
    path = write_speed(tmp_path_factory.mktemp("speed") / "report", speed_rows())
    assert render(path) == (0, "")
    return path


@pytest.mark.slow_except("speed")
@pytest.mark.parametrize("kind", ["folder", "speed"])
def test_the_same_results_make_the_same_bytes(kind, request):
    path = request.getfixturevalue(kind)
    first = read(path)
    assert any(name.startswith("plots/") for name in first)
    (path / "plots" / "old.png").write_bytes(b"of an earlier report")
    assert render(path) == (0, "")
    assert read(path) == first


@pytest.mark.parametrize("kind", ["folder", "speed"])
def test_the_page_needs_nothing_from_elsewhere(kind, request):
    text = (request.getfixturevalue(kind) / "report.html").read_text()
    page = Page(text)
    assert not page.all("script", "link", "iframe", "object")
    assert "url(" not in text
    assert "@import" not in text
    assert all("srcset" not in attributes for _, attributes in page.tags)
    sources = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    published = (ROOT / "benchmarks" / "report" / "published.csv").read_text()
    for attributes in page.all("a"):
        assert attributes["href"].startswith("#") or attributes["href"] in published


@pytest.mark.parametrize("kind", ["folder", "speed"])
def test_pictures_and_headings_are_readable_by_machines(kind, request):
    page = Page((request.getfixturevalue(kind) / "report.html").read_text())
    pictures = page.all("img")
    assert all(len(picture["alt"]) > 10 for picture in pictures)
    assert len({picture["alt"] for picture in pictures}) == len(pictures)
    assert len(page.all("h1")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {link["href"][1:] for link in page.all("a") if link["href"].startswith("#")}
    assert links
    assert links <= targets


def test_failed_runs_are_shown_with_their_reasons(folder, page):
    markdown = (folder / "report.md").read_text()
    csv = (folder / "summary.csv").read_text()
    assert "5 of 10 runs did not finish" in page.text
    assert "5 of 10 runs did not finish" in markdown
    for reason in ("exit code -9: no output", "the table has no line of it"):
        assert all(reason in text for text in (page.text, markdown, csv))
    assert "d_loss is nan at step 150 | <b>stop</b>" in page.text
    assert r"d_loss is nan at step 150 \| \<b>stop\</b>" in markdown
    for row in ("gone", "absent"):
        assert f"| {row} | 0 of 2 |" in markdown
        assert f"\n{row},fd2k,judge-1,0,2," in csv


def test_the_headline_table_has_the_numbers_of_the_summary(folder):
    lines = (folder / "report.md").read_text().splitlines()
    (late,) = [line for line in lines if line.startswith("| late | 2 of 2")]
    cells = [cell.strip().replace("\\", "") for cell in late.strip("|").split("|")]
    assert cells[2:9] == (
        ["17.00 ± 1.41", "[16.00, 18.00]", "5.00", "[4.00, 6.00]", "10.00 ± 2.83", "100", "1.50"]
    )
    (base,) = [line for line in lines if line.startswith("| base | 2 of 2")]
    assert "| reference |" in base
    assert "| 1 of 2 reached |" in base
    frame = pd.read_csv(folder / "summary.csv")
    assert frame["g_parameters"].dropna().eq(1_234_567).all()


def test_the_page_says_what_the_numbers_are_worth(page):
    for words in (
        "hardly an interval",
        "other protocols than the runs above, and are never part of our differences",
        "22.96 unverified",
        "--late=1",
        "keras_sagan.train --base=1 && true",
        "There are no samples of half, gone and absent",
    ):
        assert words in page.text


def test_light_imports():
    code = "import sys, benchmarks.render; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
