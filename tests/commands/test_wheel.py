"""The wheel: what it holds, and that its commands run without the checkout."""

import email
import json
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest
from process import TINY, environment

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
PRESET = "presets/of_this_test"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the sources, to which a preset is added."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(
        ROOT / "keras_sagan", source / "keras_sagan", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    preset = source / "keras_sagan" / PRESET
    (preset / "weights").mkdir(parents=True)
    (preset / "preset.json").write_text('{"description": "A preset."}')
    (preset / "weights" / "generator.bin").write_bytes(b"\0\1")
    folder = tmp_path_factory.mktemp("wheel")
    run_pip("wheel", "--no-build-isolation", "-w", folder, source)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with nothing but the wheel's files, which cannot be written."""
    folder = tmp_path_factory.mktemp("installed")
    run_pip("install", "--no-compile", "--target", folder, wheel)
    change_modes(folder, 0o555, 0o444)
    yield folder
    change_modes(folder, 0o755, 0o644)


def run_pip(command, *arguments):
    offline = ["--no-index", "--no-deps", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", command, *offline, *arguments], check=True)


def change_modes(folder, of_folders, of_files):
    for path in (folder, *folder.rglob("*")):
        path.chmod(of_folders if path.is_dir() or path.parent.name == "bin" else of_files)


def run_program(installed, cwd, *arguments, script=True):
    """`keras-sagan ARGUMENTS` of the wheel alone, outside the checkout."""
    program = [installed / "bin" / "keras-sagan"] if script else ["-m", "keras_sagan"]
    variables = {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, *program, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment() | variables,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_it_holds_every_file_of_the_package(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "keras_sagan").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"keras_sagan/py.typed", "keras_sagan/configs/sagan.flags"} <= expected
    assert any(name.startswith("keras_sagan/pages/") and name.endswith(".js") for name in expected)
    added = {f"keras_sagan/{PRESET}/{name}" for name in ("preset.json", "weights/generator.bin")}
    assert {name for name in names if ".dist-info/" not in name} == expected | added


def test_its_metadata_names_version_and_program(wheel):
    archive = zipfile.ZipFile(wheel)
    (folder,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    script = archive.read(f"{folder}/entry_points.txt").decode()
    assert "[console_scripts]\nkeras-sagan = keras_sagan.cli:main" in script
    metadata = email.message_from_bytes(archive.read(f"{folder}/METADATA"))
    assert metadata["Version"] in wheel.name
    assert metadata["License-Expression"] == "Apache-2.0"


def test_it_runs_without_the_checkout(installed, tmp_path):
    for script in (True, False):
        recipes = run_program(installed, tmp_path, "recipes", script=script)
        assert "  sagan_digits  " in recipes
    digits, other = run_program(installed, tmp_path, "presets").splitlines()
    assert digits.startswith("  digits        Handwritten digits at 16 x 16 pixels")
    assert other == "  of_this_test  A preset."
    assert "\n  --run_dir\n" in run_program(installed, tmp_path, "train", "--help")
    assert list(tmp_path.iterdir()) == []


def test_it_trains_and_explores_without_the_checkout(installed, tmp_path):
    files = set(installed.rglob("*"))
    given = ["--recipe=sagan_digits", *TINY, "--eval_every=0", "--total_steps=10", "--run_dir=run"]
    run_program(installed, tmp_path, "train", *given)
    run_program(installed, tmp_path, "explore", "--run_dir=run", "--output=attention.html")
    assert (tmp_path / "attention.html").exists()
    record = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert record["command"] == ["keras-sagan train", *given]
    assert record["commit"] is None
    assert set(installed.rglob("*")) == files
