"""What a file, a name or a neighbor on the network cannot do to those who use this project.

Tests of single readers stand beside those of what they read: bombs among images in
`data/test_torture.py` and `serving/test_client.py`, names of sets in `data/test_tfds.py` and
`data/test_prepare.py`, pickled arrays in `metrics/test_files.py`, code in `.keras` files in
`evaluation/test_extractors.py`.
"""

import ast
import pathlib
import re

import pytest
import yaml

from keras_sagan.serving.configs import configs

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = [
    path for folder in ("keras_sagan", "benchmarks") for path in (ROOT / folder).rglob("*.py")
]
# What a person reads or runs as it stands.
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "BUILD.md", "CONTRIBUTING.md", "Makefile", ".ci/run")),
    *(path for path in (ROOT / "deploy").rglob("*") if path.is_file()),
    *SOURCES,
]
# Modules whose readers run what a file says.
CODE_IN_FILES = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
}
UNSAFE_NAMES = {"eval", "exec", "__import__"}
UNSAFE_ATTRIBUTES = {
    **dict.fromkeys(("read_pickle", "to_pickle", "enable_unsafe_deserialization"), "pickled"),
    **dict.fromkeys(("unsafe_load", "full_load", "load_all", "unsafe_load_all"), "YAML"),
}
# A function by its last names, to an argument that it must be given, and its value.
REQUIRED = {
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "saving.load_model": ("safe_mode", True),
    "models.load_model": ("safe_mode", True),
}


def unsafe(tree):
    """What a module could be made to run by what it reads, in words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            yield from CODE_IN_FILES.intersection(module.split(".")[0] for module in modules)
            # Our own `load` is checked where it is defined.
            if isinstance(node, ast.ImportFrom) and not modules[0].startswith("keras_sagan"):
                yield from {"load", "load_model", "unsafe_load"}.intersection(names)
        elif isinstance(node, ast.Call):
            yield from unsafe_call(node)


def unsafe_call(node):
    names = ast.unparse(node.func).split(".")
    given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
    if len(names) == 1 and names[0] in UNSAFE_NAMES:
        yield names[0]
    if len(names) > 1 and names[-1] in UNSAFE_ATTRIBUTES:
        yield f"{names[-1]}: {UNSAFE_ATTRIBUTES[names[-1]]}"
    if ".".join(names[-2:]) in ("yaml.load", "os.system", "os.popen"):
        yield ".".join(names)
    argument, value = REQUIRED.get(".".join(names[-2:]), (None, None))
    if argument and given.get(argument) is not value:
        yield f"{'.'.join(names)} without {argument}={value}"
    if given.get("allow_pickle") or given.get("safe_mode") is False or given.get("shell"):
        yield f"{'.'.join(names)} with {given}"
    if names[-1] == "extractall" and given.get("filter") != "data":
        yield "extractall without filter='data'"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_is_run(path):
    assert not list(unsafe(ast.parse(path.read_text())))


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from joblib import load", "import a, dill.b", "from marshal import *"),
        *(
            "eval(text)",
            "exec(text)",
            "__import__(name)",
            "os.system(text)",
            "run(text, shell=True)",
        ),
        *("np.load(path)", "numpy.load(path, allow_pickle=True)", "np.load(path, mmap_mode='r')"),
        *(
            "np.load(path, allow_pickle=allowed)",
            "from numpy import load",
            "np.save(a, b, allow_pickle=True)",
        ),
        *("keras.saving.load_model(path)", "keras.models.load_model(path, safe_mode=False)"),
        *("from keras.saving import load_model", "keras.config.enable_unsafe_deserialization()"),
        *("layer.from_config(config, safe_mode=False)", "pd.read_pickle(path)", "yaml.load(text)"),
        *("yaml.unsafe_load(text)", "archive.extractall(folder)"),
    ],
)
def test_unsafe_code_would_be_seen(line):
    assert list(unsafe(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "np.load(path, mmap_mode='r', allow_pickle=False)",
        "keras.saving.load_model(path, compile=False, safe_mode=True)",
        "tf.saved_model.load(path)",
        "json.load(file)",
        "archive.extractall(folder, filter='data')",
        "import numpy as np, ast",
    ],
)
def test_safe_code_is_not_taken_for_unsafe(line):
    assert not list(unsafe(ast.parse(line)))


def exposed(text):
    """Settings by which a server would listen to other machines."""
    yield from re.findall(r"0\.0\.0\.0|--bind_all|\[::\]", text)
    yield from re.findall(r"--(?:host|bind|address)[= ](?!localhost\b|127\.0\.0\.1\b)\S+", text)
    yield from re.findall(r"(?:-p|--publish)[= ](?!127\.0\.0\.1:)[\d.:]*:\d+", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documented_servers_are_for_this_machine_alone(path):
    """TensorBoard listens to localhost unless it is told otherwise."""
    assert not list(exposed(path.read_text()))


@pytest.mark.parametrize(
    "line",
    [
        *(
            "tensorboard --logdir=a --bind_all",
            "tensorboard --host 10.0.0.1",
            "serve --host=0.0.0.0",
        ),
        *(
            "docker run -p 8501:8501 a",
            "docker run --publish=0.0.0.0:80:80 a",
            "serve --bind=[::]:80",
        ),
    ],
)
def test_exposed_servers_would_be_seen(line):
    assert list(exposed(line))
    assert not list(exposed("docker run -p 127.0.0.1:8501:8501 a; b --host=localhost -p 80"))


def test_compose_file_publishes_ports_to_this_machine_alone():
    (service,) = yaml.safe_load(configs("sagan")["docker-compose.yml"])["services"].values()
    assert len(service["ports"]) == 2
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service["ports"])
    assert "network_mode" not in service
