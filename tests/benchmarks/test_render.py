"""Reports: nothing hidden, nothing from elsewhere, the same bytes from the same results."""

import html.parser
import json
import pathlib
import subprocess
import sys

import pandas as pd
import pytest
import suites

ROOT = pathlib.Path(__file__).parents[2]
COMMON = {
    **{"g_channels": 16, "d_channels": 16, "num_classes": 10, "steps": 4, "warmup_steps": 2},
    **{"steps_per_call": 1, "rounds": 2, "commit": "0123abc", "machine": "Linux", "cpus": 2},
    "versions": {"python": "3.11", "keras": "3"},
}


def render(folder):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks.render", f"--report_dir={folder}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert "Traceback" not in result.stderr, result.stderr
    return result.returncode, result.stderr


def read(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = suites.write(tmp_path_factory.mktemp("small") / "report")
    assert render(path) == (0, "")
    return path


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text())


def speed_row(model, rate, ratio, **changes):
    named = {"benchmark": "speed", "model": model, "image_size": 32, "batch_size": 8}
    named |= {"precision": "float32", "jit": "off"}
    figures = {"status": "ok", "train_images_per_s": rate, "ratio": ratio, "device": "CPU"}
    figures |= {"ratio_least_and_most": [ratio, ratio], "g_macs": 10**6, "device_peak_mib": None}
    rounds = {"train_images_per_s_by_round": [rate - 1, rate + 1]}
    return named | figures | rounds | COMMON | changes


def failed_row(model, reason):
    row = speed_row(model, 0, 0, status="failed", error=reason)
    figures = ("train_images_per_s", "ratio", "ratio_least_and_most", "g_macs", "device")
    return {name: value for name, value in row.items() if name not in figures}


def write_speed(folder, rows):
    folder.mkdir()
    (folder / "results.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


@pytest.fixture(scope="module")
def speed(tmp_path_factory):
    layer = {"benchmark": "layers", "part": "spectral", "image_size": 4, "channels": 8}
    layer |= {"batch_size": 2} | COMMON
    rows = [
        speed_row("sagan", 100.0, 1.0),
        speed_row("dcgan", 250.0, 2.5, ratio_least_and_most=[2.25, 2.75]),
        failed_row("keras_naive", "exit code -9: no | output"),
        speed_row("dcgan", 240.0, 1.0),
        speed_row("sagan", 60.0, 0.25, image_size=64),
        layer
        | {"layer": "keras_sagan", "status": "ok", "ms_p50": 2.0, "ratio": 1.0}
        | {"ratio_least_and_most": [1.0, 1.0], "sigma_errors": {"10": 0.5, "3": 0.25}},
        layer | {"layer": "tensorflow_addons", "status": "unavailable", "error": "not installed"},
    ]
    path = write_speed(tmp_path_factory.mktemp("speed") / "report", rows)
    assert render(path) == (0, "")
    return path


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
    published = (ROOT / "benchmarks" / "published.csv").read_text()
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
        assert f"\n{row},fcd2k,judge-1,0,2," in csv


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


def test_light_imports():
    code = "import sys, benchmarks.render; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def without_a_column(folder):
    suites.table().drop(columns=["value"]).to_parquet(folder / "results.parquet")


def no_table(folder):
    (folder / "results.parquet").write_text("no table")


def with_an_unknown_row(folder):
    table = suites.table()
    table.loc[0, "row"] = "other"
    table.to_parquet(folder / "results.parquet")


def with_a_line_twice(folder):
    table = suites.table()
    pd.concat([table, table[:1]]).to_parquet(folder / "results.parquet")


def without_a_reference(folder):
    (folder / "suite.json").write_text(json.dumps(suites.SUITE | {"reference": "none"}))


def without_keys(folder):
    (folder / "suite.json").write_text('{"suite": "small"}')


def no_json(folder):
    (folder / "suite.json").write_text("{")


def no_picture(folder):
    (folder / "samples" / "base.png").write_text("no picture")


def both_kinds(folder):
    (folder / "results.jsonl").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (without_a_column, "expected a table with columns value. Received: "),
        (no_table, "expected a Parquet table. Received: "),
        (with_an_unknown_row, "Received: ['other']"),
        (with_a_line_twice, "expected one line a value. Received: {'row': 'base'"),
        (without_a_reference, "Received: none"),
        (without_keys, "expected title, command, reference"),
        (no_json, "expected JSON. Received: "),
        (no_picture, "expected a PNG file. Received: "),
        (both_kinds, "expected a folder with either suite.json and results.parquet, or"),
    ],
)
def test_a_broken_folder_is_one_line(tmp_path, damage, part):
    folder = suites.write(tmp_path / "report")
    damage(folder)
    code, error = render(folder)
    assert code == 2
    assert part in error
    assert error.count("\n") == 1
    assert not (folder / "report.html").exists()


def test_no_folder_and_broken_lines_are_one_line(tmp_path):
    code, error = render(tmp_path / "none")
    assert (code, error.count("\n")) == (2, 1)
    assert "Received: --report_dir=" in error
    for number, (text, part) in enumerate([("", "which is empty"), ("{", ":1: "), ("[]", ":1")]):
        folder = write_speed(tmp_path / str(number), [])
        (folder / "results.jsonl").write_text(text)
        code, error = render(folder)
        assert (code, error.count("\n")) == (2, 1)
        assert part in error
