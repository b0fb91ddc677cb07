"""Imports among the benchmarks go one way, too: commands know the rooms, not the reverse."""

import ast
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"
COMMANDS = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
# A module imports only from its own room and from earlier groups; members of a group are separate.
ORDER = [{"keras_naive"}, {"measure", "report"}, {"comparison"}, COMMANDS]
MODULES = sorted(FOLDER.rglob("*.py"))


def group_of(room):
    return next(i for i, group in enumerate(ORDER) if room in group)


def room_of(path):
    return path.relative_to(FOLDER).parts[0].removesuffix(".py")


def imported_rooms(path):
    """Rooms and commands that a module imports, late imports included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchmarks"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from [name.split(".")[1] for name in names if name.startswith("benchmarks.")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_modules_import_only_earlier_rooms(path):
    own = room_of(path)
    for room in imported_rooms(path):
        assert room == own or group_of(room) < group_of(own), f"{own} imports {room}"


def test_every_room_has_its_place():
    assert {room_of(path) for path in MODULES} - {"__init__"} == set().union(*ORDER)
