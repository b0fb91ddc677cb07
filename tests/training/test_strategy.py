"""What a process of training does with memory."""

import platform
import subprocess
import sys

import pytest

# Page faults of a second tensor as large as the first, which is gone: 16,384 if it is all new.
FAULTS = """
import resource
import tensorflow as tf
from keras_sagan.training.strategy import keep_memory
{}
tf.ones([2**24])
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
tf.ones([2**24])
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(("call", "bounds"), [("keep_memory()", (0, 500)), ("", (10_000, 20_000))])
def test_memory_is_kept_for_what_comes_next(call, bounds):
    result = subprocess.run(
        [sys.executable, "-c", FAULTS.format(call)], capture_output=True, text=True, check=True
    )
    least, most = bounds
    assert least <= int(result.stdout) < most
