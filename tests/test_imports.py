"""Imports go one way, and the arithmetic of metrics needs no TensorFlow."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "keras_sagan"
COMMANDS = {"train", "sample", "evaluate", "prepare", "export", "client", "explore", "doctor"}
# A module imports only from groups before its own, or from its own.
ORDER = [
    {"errors"},
    {"rules", "classes", "files", "losses", "progress", "signals", "packaged"},
    {"optimization", "preprocessing", "regularization"},
    {"options", "values"},
    {"keras_settings", "flag_files"},
    {"config"},
    {"layers"},
    {"networks"},
    {"metrics"},
    {"extractors"},
    {"data", "visual", "devices", "sampling"},
    {"runs"},
    {"diagnosis"},
    {"training"},
    {"evaluation"},
    {"serving", "pages"},
    {"api"},
    {"callbacks"},
    {"commands"},
    COMMANDS,
    {"cli"},
    {"__main__"},
]
# Groups of which no member may import another one of the same group.
SEPARATE = {"data", "visual", "devices", "sampling", "serving", "pages"} | COMMANDS


# Names that the package itself offers; it loads them when they are first used.
LAZY = {"api", "callbacks", "layers", "losses", "metrics", "networks", "packaged", "visual"}


def place(part):
    return next(i for i, group in enumerate(ORDER) if part in group)


def imported(tree):
    """First parts, behind `keras_sagan`, of all that a module imports from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_sagan"):
            parts = (node.module or "").split(".")
            names = [alias.name for alias in node.names if not alias.name.startswith("__")]
            yield from [parts[1]] if len(parts) > 1 else names
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from [name.split(".")[1] for name in names if name.startswith("keras_sagan.")]


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_what_comes_before_them(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        tree = ast.parse(path.read_text())
        for_types = next(node for node in tree.body if isinstance(node, ast.If))
        assert ast.unparse(for_types.test) == "TYPE_CHECKING"
        assert set(imported(for_types)) == LAZY
        tree.body.remove(for_types)
        assert not list(imported(tree))
        return
    for part in imported(ast.parse(path.read_text())):
        assert place(part) <= place(own), f"{own} imports {part}"
        assert part == own or part not in SEPARATE or place(part) < place(own)


def test_every_module_has_its_place():
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert parts - {"__init__"} == set().union(*ORDER)


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


def test_only_the_commands_see_flags():
    for path in MODULES:
        if place_of(path) < place("commands"):
            assert not re.search("(import|from) absl", path.read_text()), path


def place_of(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return -1 if own == "__init__" else place(own)


METRICS = [f"keras_sagan.metrics.{path.stem}" for path in (PACKAGE / "metrics").glob("[a-z]*.py")]


@pytest.mark.parametrize(
    "module",
    [
        *METRICS,
        *(
            f"keras_sagan.{name}"
            for name in ("config", "cli", "packaged", *sorted(COMMANDS - {"sample"}))
        ),
    ],
)
def test_light_modules_do_not_load_tensorflow(module):
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules)"
    assert run_python(code).returncode == 0


def test_another_keras_backend_is_refused_in_one_line():
    result = run_python("import keras_sagan.layers", KERAS_BACKEND="jax")
    assert result.returncode == 1
    assert "Received: backend='jax' in KERAS_BACKEND" in result.stderr.splitlines()[-1]
