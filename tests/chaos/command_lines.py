"""Command lines, flag files and configurations of all kinds, as strategies of Hypothesis."""

import json
import pathlib
import random

from absl import flags
from hypothesis import strategies as st

from keras_sagan import commands
from tests.chaos.odd_names import draw_name

REPOSITORY = pathlib.Path(__file__).parents[2]
FLAG_FILES = [*REPOSITORY.glob("keras_sagan/configs/*"), *REPOSITORY.glob("benchmarks/*/*.flags")]
# What a command line of these modules needs to pass its first check.
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
{0} {0}/run {0}/run/config.json {0}/none inception:none inception:{0} classifier auto rotation
classifier,classifier localhost localhost:x :1 localhost:99999 fcd2k fcd2k,fcd2k sagan x=none = 'a '
" %s {} \\ --seed=1 ü 深
""".split()  # noqa: SIM905
ODD += ["", " ", " 7 ", "9" * 5000, "x" * 300, "\udcff", "\ud800", "\u202e", "\n", "a\nb"]
ODD += ["row=sagan --steps=1", "sagan --seed=1"]
LETTERS = st.characters(blacklist_characters="/~\0", blacklist_categories=())


def command_lines(module, place):
    """Lists of flags, with the bytes of a flag file and of a config.json: a strategy."""
    names = sorted(set(flags.FLAGS) - {"flagfile", "undefok"})
    values = st.sampled_from(ODD) | st.text(LETTERS, max_size=20) | st.integers().map(str)
    values = values | st.floats().map(str) | st.sampled_from(words(names) or ["1"])
    known = st.tuples(st.sampled_from(names), values).map(lambda pair: f"--{pair[0]}={pair[1]}")
    bare = st.sampled_from([f"--{prefix}{name}" for name in names for prefix in ("", "no", "x")])
    files = st.sampled_from(["{0}/case.flags", "{0}", "{0}/none", "", "."])
    paths = odd_paths([name for name in names if name in commands.PATHS])
    right = st.sampled_from([f"--{name}={value}" for name in names for value in right_values(name)])
    given = known | bare | values | paths | files.map("--flagfile={}".format)
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


def odd_paths(names):
    """Flags of these names with paths in the folder `odd`, which is also the home folder."""
    odd = st.integers(0, 2**32).map(lambda seed: draw_name(random.Random(seed)))
    begin = st.sampled_from(["{0}/odd/", "odd/", "~/"])
    drawn = st.tuples(st.sampled_from(names), begin, odd)
    return drawn.map(lambda parts: f"--{parts[0]}={parts[1]}{parts[2]}")


def right_values(name):
    """Values that the flag's type accepts, and perhaps the command."""
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
    """The project's flag files, also cut, doubled, mixed and spoiled, and other bytes."""
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
    """The run's config.json, usually unchanged."""
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
