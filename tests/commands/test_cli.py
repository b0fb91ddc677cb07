"""One program for all commands, and packaged flag files by name."""

import ast
import json
import pathlib
import subprocess
import sys

import forks
import pytest
from process import assert_one_line, environment, run

import keras_sagan
from keras_sagan import cli, packaged
from keras_sagan.errors import UsageError

PACKAGE = pathlib.Path(keras_sagan.__file__).parent


def run_program(*arguments):
    """`python -m keras_sagan ARGUMENTS`: exit code, standard output, standard error."""
    command = [forks.executable(), "-m", "keras_sagan", *arguments]
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=600, check=False
    )
    return result.returncode, result.stdout, result.stderr


def first_words(text):
    return [line.split()[0] for line in text.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize("given", [[], ["--help"], ["-h"]])
def test_help_has_one_line_for_each_command(given):
    code, out, err = run_program(*given)
    assert (code, err) == (0, "")
    assert first_words(out) == [*cli.COMMANDS, *cli.LISTS]


def test_every_command_is_there_with_the_first_line_of_its_module():
    modules = {
        path.stem: ast.get_docstring(ast.parse(path.read_text()))
        for path in PACKAGE.glob("*.py")
        if "commands.run(main" in path.read_text()
    }
    assert set(modules) == set(cli.COMMANDS)
    for name, text in cli.COMMANDS.items():
        assert modules[name].startswith(text), name


def test_version():
    assert run_program("--version") == (0, f"{keras_sagan.__version__}\n", "")


def test_no_command_is_imported_before_it_is_chosen():
    code = "import sys, keras_sagan.cli; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "keras_sagan.cli" in result.stdout.split()
    commands = {f"keras_sagan.{name}" for name in cli.COMMANDS}
    assert not {"tensorflow", *commands} & set(result.stdout.split())


@pytest.mark.parametrize("given", ["tarin", "--run_dir=runs/a", ""])
def test_an_unknown_command_is_one_line(given):
    known = ", ".join([*cli.COMMANDS, *cli.LISTS])
    assert_one_line(
        run_program(given),
        2,
        f"keras-sagan: error: expected one of the commands {known}. Received: command={given}",
    )


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command_is_that_of_its_module(name):
    code, out, err = run_program(name, "--help")
    assert (code, err) == (0, "")
    assert f"\nkeras-sagan {name} --" in out
    assert "\nCommand:\n" in out
    assert (
        out.replace(f"keras-sagan {name}", f"python -m keras_sagan.{name}")
        == (run(name, "--help")[1])
    )


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["train"], "keras-sagan train: error: --run_dir is required"),
        (["sample", "--run_dir=/none"], "keras-sagan sample: error: expected a run directory"),
        (["train", "--d_step=2"], "keras-sagan train: error: Unknown command line flag 'd_step'"),
        (["recipes", "stray"], "keras-sagan recipes: error: expected flags"),
    ],
)
def test_errors_name_the_command(given, part):
    assert_one_line(run_program(*given), 2, part)


def test_the_module_of_a_command_still_runs_alone():
    assert_one_line(run("train"), 2, "train.py: error: --run_dir is required")


def test_recipes_are_listed_with_their_descriptions():
    code, out, err = run_program("recipes")
    assert (code, err) == (0, "")
    names = sorted(path.stem for path in (PACKAGE / "configs").glob("*.flags"))
    assert first_words(out) == names
    for name, line in zip(names, out.splitlines(), strict=True):
        comment = (PACKAGE / "configs" / f"{name}.flags").read_text().splitlines()[0]
        assert comment == f"# {line.split(maxsplit=1)[1]}"


@pytest.mark.parametrize("path", packaged.recipes().values(), ids=lambda path: path.stem)
def test_a_recipe_begins_with_one_sentence_and_names_no_other(path):
    first, text = packaged.describe_recipe(path), path.read_text()
    assert text.startswith("# ")
    assert first.endswith(".")
    assert len(first) < 90
    # It would be read as a flag of its own: recipes are looked up before flag files are nested.
    assert "\n--recipe" not in text


def test_presets_are_folders_with_a_description(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(packaged, "PACKAGE", tmp_path)
    assert cli.listing("presets") == "This version has no presets."
    for name in ("second", "first", "unfinished"):
        (tmp_path / "presets" / name).mkdir(parents=True)
    for name in ("second", "first"):
        text = json.dumps({"description": f"The {name} one."})
        (tmp_path / "presets" / name / "preset.json").write_text(text)
    assert packaged.presets() == {name: tmp_path / "presets" / name for name in ("first", "second")}
    assert cli.listing("presets") == "  first   The first one.\n  second  The second one."


def test_a_preset_in_the_package_has_a_description():
    for folder in packaged.presets().values():
        assert packaged.describe_preset(folder)


def test_recipes_are_found_by_name():
    assert packaged.find_recipe("sagan") == PACKAGE / "configs" / "sagan.flags"
    for name in ("", "Sagan", "sagan.flags", "../configs/sagan"):
        with pytest.raises(UsageError, match=f"one of dcgan, .*, sngan. Received: recipe={name}$"):
            packaged.find_recipe(name)


# None of these batches is divisible by three, so an error names the last one.
POSITIONS = [
    (["--recipe=sagan"], 256),
    (["-recipe=sagan"], 256),
    (["--recipe", "sagan", "--batch_size=10"], 10),
    (["--batch_size=10", "--recipe=sagan"], 256),
    (["--recipe=sagan", "--recipe=sagan_own"], 32),
]


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize(("given", "batch_size"), POSITIONS)
def test_later_flags_override_a_recipe_and_it_overrides_earlier_ones(
    given, batch_size, is_nested, tmp_path
):
    if is_nested:
        lines = "\n".join(given).replace("--recipe\n", "--recipe=")
        (tmp_path / "a.flags").write_text(f"# A comment\n{lines}\n")
        given = [f"--flagfile={tmp_path / 'a.flags'}"]
    more = [f"--data_dir={tmp_path}", "--dataset=synthetic", "--image_size=128", "--replicas=3"]
    result = run("train", f"--run_dir={tmp_path / 'run'}", *given, *more)
    assert_one_line(result, 2, "batch_size", f"Received: {batch_size} images for 3 replicas")


@pytest.mark.parametrize("command", ["train", "sample"])
@pytest.mark.parametrize("given", ["--recipe=sagn", "--recipe=", "--recipe"])
def test_an_unknown_recipe_is_one_line(command, given):
    name = given.partition("=")[2]
    known = ", ".join(packaged.recipes())
    part = f"--recipe must be one of {known}. Received: recipe={name}"
    assert_one_line(run(command, given), 2, part)


def test_an_unknown_recipe_in_a_flag_file_is_one_line(tmp_path):
    (tmp_path / "a.flags").write_text("--recipe=sagn\n")
    assert_one_line(run("train", f"--flagfile={tmp_path / 'a.flags'}"), 2, "Received: recipe=sagn")


def test_a_command_refuses_a_recipe_as_it_refuses_the_flag_file():
    by_name = run("sample", "--recipe=sagan")
    assert_one_line(by_name, 2, "Unknown command line flag 'model'")
    assert by_name == run("sample", f"--flagfile={packaged.find_recipe('sagan')}")


def test_benchmarks_take_recipes(tmp_path):
    command = [forks.executable(), "-m", "benchmarks.train_naive", "--recipe=sagan"]
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment(), cwd=PACKAGE.parent, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "--run_dir is required" in result.stderr
