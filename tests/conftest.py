"""Two logical CPU devices for every test, and the options of the suite."""

import collections
import gc
import pathlib

import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)
# Values are compared in float32, which TensorFloat-32 on GPUs is not.
tf.config.experimental.enable_tensor_float_32_execution(False)

GRADIENTS = ops.gradient_registry._registry
GOLDEN = pathlib.Path(__file__).parent / "golden"


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
        help="In tests/chaos: 100 kills, every size of disk and 2,000 command lines, not a few. "
        "Elsewhere matrices of full size.",
    )


def pytest_generate_tests(metafunc):
    if "golden_file" in metafunc.fixturenames:
        folder = metafunc.config.getoption("--golden_dir")
        files = sorted(folder.glob("*.npz"))
        if not files:
            raise pytest.UsageError(f"--golden_dir has no .npz file. Received: {folder}")
        metafunc.parametrize("golden_file", files, ids=lambda file: file.stem)


def pytest_terminal_summary(terminalreporter):
    """No test skips itself in silence: a line for each reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in collections.Counter(report.longrepr[2] for report in skipped).items():
        terminalreporter.write_line(f"{count} x {reason}")


@pytest.fixture(scope="session")
def thorough(request):
    return request.config.getoption("--thorough")


@pytest.fixture(scope="session")
def two_replicas():
    """One for all tests: strategies of one process number their collectives alike and collide."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def pytest_collection_finish():
    """What collection has made stays, too: a collection of garbage would look through all tests."""
    gc.collect()
    gc.freeze()


def forget_gradients():
    """Forgets the gradients that were registered since it began; says whether there were any.

    TensorFlow registers the gradient of each traced call of a `tf.custom_gradient` for ever, and
    that keeps the graph around it, with its weights.
    """
    before = set(GRADIENTS)
    yield
    new = set(GRADIENTS) - before
    for name in new:
        del GRADIENTS[name]
    return bool(new)


@pytest.fixture(autouse=True)
def free_graphs_of_test():
    """Networks are cycles of few objects and much memory: Python seldom collects them by itself."""
    if (yield from forget_gradients()):
        gc.collect()


@pytest.fixture(autouse=True, scope="module")
def free_graphs_of_module():
    yield from forget_gradients()
    gc.collect()
