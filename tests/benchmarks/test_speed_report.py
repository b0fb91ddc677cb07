"""Reports of speed and of layers: what failed stays, and ratios say to what."""

import pandas as pd
import pytest
from rendered import Page, render, speed_row, speed_rows, write_speed


@pytest.fixture(scope="module")
def speed(tmp_path_factory):
    path = write_speed(tmp_path_factory.mktemp("speed") / "report", speed_rows())
    assert render(path) == (0, "")
    return path


def test_rows_of_speed_without_figures_are_shown_with_their_reasons(speed):
    page = Page((speed / "report.html").read_text())
    markdown, csv = ((speed / name).read_text() for name in ("report.md", "summary.csv"))
    assert "2 of 7 rows have no figures" in page.text
    assert "exit code -9: no | output" in page.text
    assert r"| failed | exit code -9: no \| output |" in markdown
    assert "exit code -9: no | output" in csv
    assert all("not installed" in text for text in (page.text, markdown, csv))
    assert "| keras_naive | 8 | off |  | failed | \N{EN DASH} |" in markdown


def test_each_ratio_names_the_setting_of_its_own_run(speed):
    frame = pd.read_parquet(speed / "results.parquet")
    first, second = "sagan 32 float32 8 off", "dcgan 32 float32 8 off"
    names = frame["compared_with"][:5].fillna("none").tolist()
    assert names == [first, first, "none", second, second]
    assert frame["ratio_least"][:2].tolist() == [1, 2.25]
    assert frame["versions.keras"].tolist() == ["3"] * 7
    markdown = (speed / "report.md").read_text()
    assert "sigma error, step 3 | sigma error, step 10 |" in markdown
    assert markdown.count("*image_size 64, precision float32*") == 1
    assert r"| dcgan | 8 | off | sagan 32 float32 8 off | ok | 2.50 \[2.25, 2.75\] |" in markdown


def test_bars_of_two_commits_have_short_names(tmp_path):
    """Longer ones leave no place for the bars, of which the plots warn."""
    rows = [speed_row("sagan", 100.0, 1.0, commit=letter * 40) for letter in "ab"]
    path = write_speed(tmp_path / "report", rows)
    assert render(path) == (0, "")
    (image,) = Page((path / "report.html").read_text()).all("img")
    assert "sagan (8, off): 100; sagan (8, off) #2: 100." in image["alt"]
