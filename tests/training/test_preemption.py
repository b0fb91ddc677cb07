"""Signals while the runtime is in a call, from which Python's own handlers would wait."""

import signal
import subprocess
import sys

import pytest

# A call in C that takes minutes, does not return for a signal and lets other threads run.
PROGRAM = """
import hashlib, sys
from keras_sagan.training.preemption import Preemption
with Preemption(lambda line: print(line, flush=True)) as preemption:
    assert preemption.received_signal() is None
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", int(sys.argv[1]))
    name = preemption.received_signal()
print(name, flush=True)
input()
"""


@pytest.fixture
def program(request):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(request.param)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("program", [2_000_000_000], indirect=True)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_second_signal_ends_the_process_at_once(program, number, code):
    name = signal.Signals(number).name
    program.send_signal(number)
    assert (
        program.stdout.readline()
        == f"{name}: stopping after this call; a second one stops immediately\n"
    )
    assert program.poll() is None
    program.send_signal(number)
    out, err = program.communicate(timeout=600)
    assert program.returncode == code
    assert (out, err) == (f"{name} again: stopped without a checkpoint\n", "")


@pytest.mark.parametrize("program", [3_000_000], indirect=True)
def test_first_signal_waits_for_the_call_and_later_ones_act_as_before(program):
    program.send_signal(signal.SIGINT)
    program.stdout.readline()
    assert program.stdout.readline() == "SIGINT\n"
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=600)
    assert program.returncode == -signal.SIGTERM
