"""Recipes and presets that the package ships, found by name.

A recipe is a flag file, `configs/NAME.flags`; its first line is a comment that describes it. A
preset is a recipe with weights: a folder `presets/NAME` whose `preset.json` has a `description`.
"""

import importlib.resources
import json
from pathlib import Path

from keras_sagan.errors import UsageError

PACKAGE = Path(str(importlib.resources.files("keras_sagan")))
PRESET_FILE = "preset.json"


def recipes() -> dict[str, Path]:
    """The flag file of each packaged recipe, by name."""
    return {path.stem: path for path in sorted(PACKAGE.glob("configs/*.flags"))}


def presets() -> dict[str, Path]:
    """The folder of each packaged preset, by name."""
    files = sorted(PACKAGE.glob(f"presets/*/{PRESET_FILE}"))
    return {path.parent.name: path.parent for path in files}


def find_recipe(name: str) -> Path:
    """The flag file of the recipe `name`; raises `UsageError` if the package has none."""
    known = recipes()
    if name not in known:
        raise UsageError(f"--recipe must be one of {', '.join(known)}. Received: recipe={name}")
    return known[name]


def find_preset(name: str) -> Path:
    """The folder of the preset `name`; raises `UsageError` if the package has none."""
    known = presets()
    if name not in known:
        listed = ", ".join(known) or "none"
        raise UsageError(f"expected a preset of this version: {listed}. Received: {name!r}")
    return known[name]


def describe_recipe(path: Path) -> str:
    """The description of a recipe: the first line of its flag file, without the comment sign."""
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def describe_preset(folder: Path) -> str:
    """The description of a preset, from its `preset.json`."""
    return json.loads((folder / PRESET_FILE).read_text(encoding="utf-8"))["description"]
