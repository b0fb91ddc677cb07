"""Two logical CPU devices for every test, and the memory that TensorFlow keeps."""

import gc

import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.extractors import trained
from keras_sagan.extractors.tasks import CLASSES

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)
# Values are compared in float32, which TensorFloat-32 on GPUs is not.
tf.config.experimental.enable_tensor_float_32_execution(False)

GRADIENTS = ops.gradient_registry._registry


@pytest.fixture(scope="session")
def two_replicas():
    """One for all tests: strategies of one process number their collectives alike and collide."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def classified(data_dir):
    """The folder of data, with the digits and a classifier trained in seconds: 98% accurate."""
    config = Config(image_size=16, image_channels=1, data_dir=str(data_dir))
    prepared = prepare(config.image_set, config.data_dir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "STEPS", 100)
        trained.train_once(
            CLASSES, prepared.images, prepared.labels, prepared.record["sha256"], data_dir
        )
    return data_dir


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
