"""All commands in one program: `keras-sagan COMMAND [flags]`, or `python -m keras_sagan`.

Only the module of the chosen command is imported, because each one defines its own flags and some
take seconds to load.
"""

import importlib
import sys

from keras_sagan import __version__, commands, packaged

PROGRAM = "keras-sagan"
# Each command is the module of that name; its description is the first line of the module's.
COMMANDS = {
    "train": "Trains a GAN, or resumes a run that was stopped.",
    "sample": "Draws generated images: a grid, or an interactive page.",
    "evaluate": "Scores a run's images against real images, or compares two files of features.",
    "explore": "Makes a page, or a figure, that shows what a run's attention layers attend to.",
    "export": "Exports a run's generator for TensorFlow Serving, or as a Keras file.",
    "client": "Asks TensorFlow Serving for images and draws them as a grid.",
    "prepare": "Prepares an image set so that training starts immediately.",
    "doctor": "Reports versions, devices, settings and folders, and lists what will not work.",
}
LISTS = {
    "recipes": "Lists the packaged recipes: flag files for --recipe=NAME.",
    "presets": "Lists the packaged presets: recipes with weights.",
}


def main() -> None:
    """Runs the command that the first argument names, and exits as `commands.run` does."""
    name, *given = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h"):
        print(help_text())
    elif name == "--version":
        print(__version__)
    elif name in COMMANDS or name in LISTS:
        # Errors begin with it, and a run records it as the command that trained it.
        sys.argv = [f"{PROGRAM} {name}", *given]
        run = run_list if name in LISTS else run_module
        run(name)
    else:
        sys.argv = [PROGRAM]
        known = ", ".join(COMMANDS | LISTS)
        commands.fail(f"expected one of the commands {known}. Received: command={name}", 2)


def run_module(name: str) -> None:
    """Runs the command in module `name`; its help shows the commands as this program takes them."""
    module = importlib.import_module(f"keras_sagan.{name}")
    examples = f"python -m {module.__name__}"
    description = (module.__doc__ or "").replace(examples, f"{PROGRAM} {name}")
    # The doctor reports the settings that others refuse.
    commands.run(module.main, description, module.__name__, check=name != "doctor")


def run_list(name: str) -> None:
    """Runs the command `recipes` or `presets`."""
    commands.run(lambda: print(listing(name)), LISTS[name], __name__)


def listing(name: str) -> str:
    """One line for each packaged recipe or preset: its name and its description."""
    if name == "recipes":
        lines = {key: packaged.describe_recipe(path) for key, path in packaged.recipes().items()}
    else:
        lines = {key: packaged.describe_preset(path) for key, path in packaged.presets().items()}
    return format_table(lines) if lines else f"This version has no {name}."


def help_text() -> str:
    """What the program does, and its commands with one line each."""
    usage = f"{PROGRAM} COMMAND [flags]     {PROGRAM} COMMAND --help     {PROGRAM} --version"
    return f"SAGAN on TensorFlow and Keras 3.\n\n{usage}\n\n{format_table(COMMANDS | LISTS)}"


def format_table(lines: dict[str, str]) -> str:
    """Names and descriptions in two columns."""
    width = max(map(len, lines))
    return "\n".join(f"  {name:{width}}  {text}" for name, text in lines.items())
