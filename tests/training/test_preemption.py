"""Signals while the runtime is in a call, from which Python's own handlers would wait."""

import ctypes
import faulthandler
import signal
import socket
import subprocess
import sys
import threading

import pytest

from keras_sagan.devices.join import time_limit
from keras_sagan.signals import ENDING
from keras_sagan.training.preemption import Preemption

# A call in C that takes minutes, does not return for a signal and lets other threads run.
PROGRAM = """
import hashlib, signal, sys
for number in map(int, sys.argv[2:]):
    signal.signal(number, signal.SIG_IGN)
if not sys.argv[2:]:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell may have it ignored.
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
        [sys.executable, "-c", PROGRAM, *str(request.param).split()],
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


@pytest.mark.parametrize("program", [2_000_000_000], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_warnings_may_come_twice_and_before_others(program, number):
    for _ in range(2):  # A shell and the system both send SIGHUP when a terminal closes.
        program.send_signal(number)
    assert program.stdout.readline() == f"{number.name}: stopping after this call\n"
    program.send_signal(signal.SIGTERM)
    assert program.stdout.readline().startswith("SIGTERM: stopping after this call; a second one")
    program.send_signal(number)
    assert program.poll() is None
    program.send_signal(signal.SIGTERM)
    assert program.communicate(timeout=600)[0] == "SIGTERM again: stopped without a checkpoint\n"
    assert program.returncode == 143


@pytest.mark.parametrize("program", [f"3000000 {signal.SIGHUP:d} {signal.SIGINT:d}"], indirect=True)
def test_signals_ignored_at_the_start_stay_ignored(program):
    for number in (signal.SIGHUP, signal.SIGINT):
        program.send_signal(number)
    assert program.stdout.readline() == "None\n"
    program.send_signal(signal.SIGHUP)
    out, _ = program.communicate("\n", timeout=600)
    assert (program.returncode, out) == (0, "")


def read_action(number):
    """The address of a signal's handler, as the C library has it."""
    action = ctypes.create_string_buffer(1024)
    ctypes.CDLL(None).sigaction(number, None, action)
    return action.raw[:8]


@pytest.fixture
def host():
    """A program with its own descriptor and handlers, one of which C code has set."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    reader.settimeout(60)
    before = signal.set_wakeup_fd(writer.fileno())
    handlers = {each: signal.signal(each, lambda *_: None) for each in (*ENDING, signal.SIGUSR2)}
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    faulthandler.register(signal.SIGUSR1)
    yield reader, writer
    faulthandler.unregister(signal.SIGUSR1)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.set_wakeup_fd(before)
    reader.close()
    writer.close()


@pytest.mark.parametrize("is_known", [True, False])
def test_host_has_its_handlers_back_when_training_raises(host, is_known, monkeypatch):
    reader, writer = host
    handlers = {each: signal.getsignal(each) for each in ENDING}
    actions = {each: read_action(each) for each in ENDING}
    if not is_known:  # As if the host had set them before it started Python.
        install = signal.signal
        monkeypatch.setattr(signal, "signal", lambda *given: install(*given) and None)

    def train():
        with Preemption(print) as preemption:
            assert preemption.received_signal() is None
            assert read_action(signal.SIGUSR1) != actions[signal.SIGUSR1]
            signal.raise_signal(signal.SIGUSR2)
            assert reader.recv(1) == bytes([signal.SIGUSR2])  # The host's own signals reach it.
            raise RuntimeError("in training")

    with pytest.raises(RuntimeError, match="in training"):
        train()
    assert {each: read_action(each) for each in ENDING} == actions
    assert signal.set_wakeup_fd(writer.fileno()) == writer.fileno()
    if is_known:
        assert {each: signal.getsignal(each) for each in ENDING} == handlers


def in_thread(function):
    """What a function returns in another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_outside_the_main_thread_signals_are_left_alone_and_one_line_says_so(host):
    said, actions = [], {each: read_action(each) for each in ENDING}

    def train():
        with Preemption(said.append) as preemption:
            received = [preemption.received_signal() for _ in range(2)]
            return received, {each: read_action(each) for each in ENDING}

    for number in (1, 2):
        assert in_thread(train) == ([None, None], actions)
        assert said == number * [
            "note: not in Python's main thread, so a signal will not save a checkpoint"
        ]
    assert signal.set_wakeup_fd(host[1].fileno()) == host[1].fileno()


@pytest.mark.parametrize("call", [in_thread, lambda function: function()])
def test_joining_a_cluster_leaves_the_handler_of_sigterm(host, call):
    before = read_action(signal.SIGTERM)

    def join():
        with time_limit(600):
            ctypes.CDLL(None).signal(signal.SIGTERM, None)  # As TensorFlow does.
            return read_action(signal.SIGTERM)

    assert call(join) != before
    assert read_action(signal.SIGTERM) == before
