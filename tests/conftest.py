"""The options of the suite, and the data that its processes share."""

import collections
import os
import pathlib
import signal

import pytest

GOLDEN = pathlib.Path(__file__).parent / "golden"


def pytest_configure(config):
    # Tests send these, and processes started under nohup or in the background of a shell script
    # ignore them.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The process that only hands out tests to others does without TensorFlow.
    if hasattr(config, "workerinput") or not config.getoption("numprocesses"):
        config.pluginmanager.import_plugin("with_tensorflow")


def pytest_addoption(parser):
    parser.addoption(
        "--golden_dir",
        type=pathlib.Path,
        default=GOLDEN,
        help="Folder of golden .npz files; another one than the suite's own.",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="In tests/chaos: 100 kills, every disk size, 1,000 names and 2,000 command lines. "
        "Elsewhere matrices of full size.",
    )


def pytest_generate_tests(metafunc):
    if "golden_file" in metafunc.fixturenames:
        folder = metafunc.config.getoption("--golden_dir")
        files = sorted(folder.glob("*.npz"))
        if not files:
            raise pytest.UsageError(f"--golden_dir has no .npz file. Received: {folder}")
        metafunc.parametrize("golden_file", files, ids=lambda file: file.stem)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All cases of a `slow_except` test are slow but those that it names."""
    for item in items:
        marker = item.get_closest_marker("slow_except")
        if marker and item.callspec.id not in marker.args:
            item.add_marker("slow")


def pytest_terminal_summary(terminalreporter):
    """No test skips itself in silence: a line for each reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in collections.Counter(report.longrepr[2] for report in skipped).items():
        terminalreporter.write_line(f"{count} x {reason}")


@pytest.fixture(scope="session")
def thorough(request):
    return request.config.getoption("--thorough")


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A folder of data that all processes of the suite share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "data"
    folder.mkdir(exist_ok=True)
    return folder
