"""What a process of training does with memory."""

import os
import platform
import subprocess
import sys

import pytest

# Page faults of a second block as large as the first, which is free.
FAULTS = """
import ctypes
import resource
from keras_sagan.devices.strategy import make_cluster
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


def faults(call):
    plain = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    result = subprocess.run(
        [sys.executable, "-c", FAULTS.format(call)],
        capture_output=True,
        text=True,
        check=True,
        env=plain | {"CUDA_VISIBLE_DEVICES": ""},
    )
    return int(result.stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_is_kept_for_what_comes_next():
    usual = faults("")
    if usual < 1000:  # 16,384 with pages of 4 KiB.
        pytest.skip("the system gives memory in large pages")
    assert faults("make_cluster()") < usual / 10
