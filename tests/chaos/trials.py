"""Trials of what has ended users' runs: `python tests/chaos/trials.py [WORDS]`.

Each starts commands in processes, as a user does, and prints a line: what held, or why it failed.
With WORDS, only trials whose names contain one of them run.
"""

import pathlib
import shutil
import sys
import tempfile

import trials_of_folders
import trials_of_hosts
from user import TOP


def list_trials(module):
    """The trials of a module, in order."""
    own = [each for each in vars(module).values() if callable(each)]
    return [each for each in own if each.__module__ == module.__name__]


def make_trial(function, name):
    """Runs a trial and prints its line; returns whether it succeeded."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="trial-", dir=TOP))
    try:
        line = f"ok   {name}: {function(place)}"
    except Exception as error:
        line = f"FAIL {name}: {' '.join(f'{type(error).__name__}: {error}'.split())[-400:]}"
    finally:
        shutil.rmtree(place, ignore_errors=True)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    return line.startswith("ok")


def main(words):
    trials = [*list_trials(trials_of_folders), *list_trials(trials_of_hosts)]
    named = {each.__name__.replace("_", " "): each for each in trials}
    chosen = [name for name in named if not words or any(word in name for word in words)]
    results = [make_trial(named[name], name) for name in chosen]
    shutil.rmtree(TOP)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
