"""Command lines of all kinds: `python -m tests.chaos.fuzz COUNT FOLDER`, with a run in FOLDER/run.

COUNT for each command. Each is a fork of this process, in which TensorFlow is imported and its
runtime does not run, and does what `python -m MODULE FLAGS` does. What would read images, make
networks, ask again or start processes ends there. Prints a JSON line for each command line that
ended otherwise than with 0, or with 1 or 2 and one line; and for each command one with how often
each exit code came.
"""

import collections
import importlib
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import time
import traceback

import hypothesis
from absl import flags
from hypothesis import strategies as st

from keras_sagan import commands, networks
from keras_sagan.data import builders, folder
from keras_sagan.data import prepared as prepare
from keras_sagan.errors import RunError
from keras_sagan.evaluation import scorer
from keras_sagan.runs import checkpoints
from keras_sagan.serving import archive
from keras_sagan.training.state import State

REPOSITORY = pathlib.Path(__file__).parents[2]
FLAG_FILES = [*REPOSITORY.glob("keras_sagan/configs/*"), *REPOSITORY.glob("benchmarks/*/*.flags")]
# Seconds after which a command line counts as hanging.
SECONDS = 600
# Lines that are TensorFlow's and Abseil's.
NOTICE = re.compile(r"[IWE]\d{4} |WARNING: All log messages|Warning: Hit circular flagfile")
# What a command line of these modules needs to come further than to its first check.
REQUIRED = {
    "keras_sagan.train": ("--run_dir={0}/new", "--data_dir={0}/data"),
    "keras_sagan.prepare": ("--data_dir={0}/data",),
    "keras_sagan.sample": ("--run_dir={0}/run", "--output={0}/grid.png"),
    "keras_sagan.evaluate": ("--run_dir={0}/run", "--data_dir={0}/data"),
    "keras_sagan.export": ("--run_dir={0}/run", "--export_dir={0}/export"),
    "keras_sagan.client": ("--server=localhost:1", "--output={0}/grid.png"),
    "benchmarks.compare": (
        f"--flagfile={REPOSITORY}/benchmarks/suites/digits_cpu.flags",
        "--runs_dir={0}/runs",
        "--report_dir={0}/report",
    ),
}
# Numbers at the edges of types, words of the commands' own, paths that are none, odd text.
ODD = """
0 -1 1 2 3 16 17 2147483648 9223372036854775807 -9223372036854775809 0x10 1_000 1.5 1e400 1e-400
nan inf -inf , ,, 0,1 1,1 a,b None true False none auto all best newest a/b . .. /dev/null/x
digits folder: folder:. folder:none symmetry:4 symmetry:4:0:1 symmetry:99999999999 synthetic a:b
{0} {0}/run {0}/run/config.json {0}/none inception:none inception:{0} classifier
classifier,classifier localhost localhost:x :1 localhost:99999 fcd2k fcd2k,fcd2k sagan x=none = 'a '
" %s {} \\ --seed=1 ü 深
""".split()  # noqa: SIM905
ODD += ["", " ", " 7 ", "9" * 5000, "x" * 300, "\udcff", "\ud800", "\u202e", "\n", "a\nb"]
ODD += ["row=sagan --steps=1", "sagan --seed=1"]
LETTERS = st.characters(blacklist_characters="/~\0", blacklist_categories=())


def reached(*arguments, **named):
    """In place of what takes long."""
    del arguments, named
    raise RunError("reached")


def shorten():
    """What takes long is not done; before it is all that looks at flags and files."""
    for owner, name in (
        (prepare, "write_arrays"),
        (builders, "build_set"),
        (folder, "list_images"),
        (networks, "generator"),
        (State, "create"),
        (checkpoints, "load_generator"),
        (scorer, "classifier"),
        (archive, "write_saved_model"),
        (time, "sleep"),
    ):
        setattr(owner, name, reached)


def command_lines(module, place):
    """Lists of flags, with the bytes of a flag file and of a config.json: a strategy."""
    names = sorted(set(flags.FLAGS) - {"flagfile", "undefok"})
    values = st.sampled_from(ODD) | st.text(LETTERS, max_size=20) | st.integers().map(str)
    values = values | st.floats().map(str) | st.sampled_from(words(names) or ["1"])
    known = st.tuples(st.sampled_from(names), values).map(lambda pair: f"--{pair[0]}={pair[1]}")
    bare = st.sampled_from([f"--{prefix}{name}" for name in names for prefix in ("", "no", "x")])
    files = st.sampled_from(["{0}/case.flags", "{0}", "{0}/none", "", "."])
    right = st.sampled_from([f"--{name}={value}" for name in names for value in right_values(name)])
    given = known | bare | values | files.map("--flagfile={}".format)
    lines = st.tuples(st.lists(right, max_size=4), st.lists(given, max_size=2)).map(
        lambda parts: parts[0] + parts[1]
    )
    own = [line.format(place) for line in REQUIRED[module]]

    def whole(drawn):
        first, line, flag_file, config = drawn
        line = [each.replace("{0}", str(place)) for each in line]
        return [*(own if first else []), *line], flag_file, config

    first = st.sampled_from([True, True, True, False])
    return st.tuples(first, lines, flag_files(given), configs(place / "run")).map(whole)


def right_values(name):
    """Values that the flag's type takes, and perhaps the command."""
    flag = flags.FLAGS[name]
    kind = type(flag.parser).__name__
    fitting = {
        "BooleanParser": ["true", "false"],
        "IntegerParser": [*range(1, 5), 2**40],
        "FloatParser": [0.5, 1, 1e-300, 1e300],
        "ListParser": ["0,1", "3", "classifier", "fd2k"],
    }
    return [flag.default, *fitting.get(kind, words([name]) or ["a"])]


def words(names):
    """Values that some flag takes."""
    parsers = [flags.FLAGS[name].parser for name in names]
    found = [word for parser in parsers for word in getattr(parser, "enum_values", ())]
    fields = [commands.CONFIG_FIELDS[name] for name in names if name in commands.CONFIG_FIELDS]
    return found + [str(each) for field in fields for each in field.metadata["rule"].choices]


def flag_files(lines):
    """Those of the project, cut, doubled, mixed and spoiled, and what no flag file is."""
    real = st.sampled_from([path.read_bytes() for path in FLAG_FILES])
    lines = st.lists(lines, max_size=4).map("\n".join)
    lines = lines.map(lambda text: text.encode(errors="surrogatepass"))
    cut = st.tuples(real, st.integers(0, 2000)).map(lambda pair: pair[0][: pair[1]])
    spoiled = st.tuples(real, st.integers(0, 500), st.binary(max_size=4)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
    )
    again = st.just(b"--flagfile=case.flags\n")
    others = st.binary(max_size=50) | st.just(b"--seed=\0")
    return st.one_of(real, lines, cut, spoiled, again, others)


def configs(run):
    """The run's config.json, most often as it is."""
    text = (run / "config.json").read_text()
    values = json.loads(text)
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    scalars = scalars | st.sampled_from([0, 1, -1, 3, 32, 2**31, 2**63, 10**30, "auto", "none"])
    objects = st.dictionaries(st.text(max_size=3), scalars, max_size=2)
    anything = scalars | st.lists(scalars, max_size=2) | objects
    changed = st.tuples(st.sampled_from(sorted(values)), anything)
    changed = changed.map(lambda pair: values | dict([pair]))
    added = st.text(max_size=5).map(lambda name: values | {name: 1})
    spoiled = st.one_of(
        st.one_of(changed, changed, added, anything).map(lambda each: json.dumps(each).encode()),
        st.integers(0, len(text)).map(lambda end: text[:end].encode()),
        st.binary(max_size=20),
        st.just(b"[" * 100_000),
    )
    same = st.just(text.encode())
    return same | same | same | spoiled


def play(module, line, log):
    """Does what `python -m MODULE LINE` does; returns exit code and output."""
    child = os.fork()
    if child == 0:
        for number in (1, 2):
            os.dup2(os.open(f"{log}{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        signal.alarm(SECONDS)
        sys.argv = [module.__file__, *line]
        code = 0
        try:
            commands.run(module.main, module.__doc__, module.__name__)
        except SystemExit as error:
            code = error.code
        except BaseException:
            traceback.print_exc()
            code = 99
        finally:
            sys.stdout.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, *(pathlib.Path(f"{log}{number}").read_text(errors="replace") for number in (1, 2))


def fault(code, out, err):
    """What is wrong with the end of a command line; None if nothing is."""
    lines = [line for line in err.splitlines() if not NOTICE.match(line)]
    if "Traceback" in err or code not in (0, 1, 2):
        return "traceback or other exit code"
    if code and not (lines and ": error: " in lines[-1]):
        return "no error"
    if code and sum(": error: " in line for line in lines) > 1:
        return "several lines"
    if code == 2 and (out or len(lines) > 1):
        return "more than a line"
    return None


def fuzz_module(name, count, place):
    for each in set(flags.FLAGS) - {"flagfile", "undefok"}:
        delattr(flags.FLAGS, each)  # TensorFlow's, which a command imports when flags are parsed.
    module = importlib.import_module(name)
    shorten()
    os.chdir(place)
    codes = collections.Counter()

    @hypothesis.settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(command_lines(name, place))
    def fuzz(case):
        line, flag_file, config = case
        line = [each.replace("\0", "") for each in line]
        (place / "case.flags").write_bytes(flag_file)
        (place / "run" / "config.json").write_bytes(config)
        code, out, err = play(module, line, place / "log")
        codes[code] += 1
        for each in ("new", "data", "export", "runs", "report"):
            shutil.rmtree(place / each, ignore_errors=True)
        if found := fault(code, out, err):
            told = {"fault": found, "code": code, "line": line, "out": out, "err": err[-3000:]}
            told |= {"flag_file": repr(flag_file[:300]), "config": repr(config[:2000])}
            sys.stdout.write(json.dumps(told) + "\n")

    fuzz()
    sys.stdout.write(json.dumps({"module": name, "codes": codes}) + "\n")


def main(count, folder):
    """Each module in a fork of its own: several define flags of the same names."""
    for name in REQUIRED:
        place = folder / name
        shutil.copytree(folder / "run", place / "run")
        child = os.fork()
        if child == 0:
            fuzz_module(name, count, place)
            sys.stdout.flush()
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"{name} was not tried to the end")


if __name__ == "__main__":
    main(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
