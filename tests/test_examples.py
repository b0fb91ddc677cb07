"""The notebooks of docs/examples: their code runs from top to bottom, in a fresh process."""

import json
import pathlib
import subprocess

import forks
import pytest

FOLDER = pathlib.Path(__file__).parents[1] / "docs" / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# What stands in the place of a notebook's own parameters, so that it takes seconds.
SMALL = {"train_on_your_images": {"EPOCHS": 1}}


def read_cells(notebook):
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def run_code(notebook, folder):
    """Runs the code cells in `folder`; returns standard output."""
    small = [f"{name} = {value!r}" for name, value in SMALL.get(notebook.stem, {}).items()]
    parts = ["import matplotlib", "matplotlib.use('agg')"]
    for cell in read_cells(notebook):
        if cell["cell_type"] == "code":
            parts.append("".join(cell["source"]))
            parts += small if "parameters" in cell["metadata"].get("tags", ()) else []
    script = folder / "notebook.py"
    script.write_text("\n\n".join(parts), encoding="utf-8")
    found = subprocess.run(
        [forks.executable(), script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_there_are_two():
    assert [notebook.stem for notebook in NOTEBOOKS] == [
        "generate_and_look",
        "train_on_your_images",
    ]


def test_the_first_generates_and_looks(tmp_path):
    out = run_code(FOLDER / "generate_and_look.ipynb", tmp_path)
    assert "(10, 16, 16, 1) uint8" in out
    assert "{'attention_8': (3, 8, 8, 4, 4)}" in out


@pytest.mark.slow
def test_the_second_trains_on_a_folder_of_images(tmp_path):
    run_code(FOLDER / "train_on_your_images.ipynb", tmp_path)
    assert sorted(path.name for path in (tmp_path / "my_images").iterdir()) == [
        f"digit_{i}" for i in range(10)
    ]
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["epoch_0001.png"]
    assert (tmp_path / "gan.keras").exists()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_small_and_complete(notebook):
    assert notebook.stat().st_size < 400_000
    outputs = [len(json.dumps(cell.get("outputs", []))) for cell in read_cells(notebook)]
    assert sum(outputs) < 200_000
    code = [cell for cell in read_cells(notebook) if cell["cell_type"] == "code"]
    # As run from a fresh kernel, so that readers see what the code does.
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
