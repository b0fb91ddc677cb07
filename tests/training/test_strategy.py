"""What a process of training does with memory."""

import platform
import subprocess
import sys

import pytest

# Page faults of a second block as large as the first, which is free: 16,384 if it is all new.
FAULTS = """
import ctypes
import resource
from keras_sagan.training.strategy import keep_memory
{}
libc, size = ctypes.CDLL(None), 2**26
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for turn in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
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
