"""Preparation wherever Python runs, and processes that decode images and end before their work."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from images import encoded, noise, prepare_config

from keras_sagan.config import Config
from keras_sagan.data import decoders as decoding
from keras_sagan.data.decode_process import pack_payload, unpack_payload
from keras_sagan.data.decoders import Decoders
from keras_sagan.data.prepared import Prepared
from keras_sagan.errors import RunError
from keras_sagan.preprocessing import Preprocessing

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
# Without `if __name__ == "__main__"`, and only its own import path leads to the package.
PROGRAM = f"""
import sys
sys.path.append({ROOT!r})
from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
config = Config(dataset="synthetic", image_size=16, image_channels=1, data_dir="data")
print(prepare(config.image_set, config.data_dir).directory)
"""


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The hash of what `PROGRAM` prepares."""
    settings = {"dataset": "synthetic", "image_size": 16, "image_channels": 1}
    config = Config(**settings, data_dir=str(tmp_path_factory.mktemp("data")))
    return prepare_config(config).record["sha256"]


@pytest.mark.slow_except("script without a guard")
@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["-"], PROGRAM),
        (["-c", PROGRAM], ""),
        (["script.py"], ""),
        # A notebook's main module has no file.
        (["-c", f"import sys; del sys.modules['__main__'].__spec__\n{PROGRAM}"], ""),
    ],
    ids=["standard input", "-c", "script without a guard", "notebook"],
)
def test_preparation_does_not_depend_on_the_main_module(arguments, given, content, tmp_path):
    (tmp_path / "script.py").write_text(PROGRAM)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, *arguments],
        input=given,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=variables,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert Prepared(tmp_path / result.stdout.strip()).record["sha256"] == content


@pytest.mark.parametrize(
    "payload",
    ["ünïcödé\udcff.png", encoded(noise(9, 9)), noise(9, 7), noise(9, 7)[..., :1]],
    ids=["path", "file", "color", "gray"],
)
def test_payloads_arrive_as_they_were(payload):
    request, data = pack_payload(payload)
    found = unpack_payload(data, request)
    assert type(found) is type(payload)
    np.testing.assert_array_equal(found, payload)


@pytest.fixture
def blocked(tmp_path):
    """A decoder that waits for ever, on a file that nobody writes, and the result it owes."""
    os.mkfifo(tmp_path / "pipe")
    with Decoders(Preprocessing(16, 3)) as decoders:
        assert decoders.submit("good", noise(16, 16)).result().pixels.shape == (16, 16, 3)
        result = decoders.submit("cats/0.png", str(tmp_path / "pipe"))
        while not result.running():  # Until a thread takes it, it would be canceled.
            time.sleep(0.01)
        yield decoders, result


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, "was killed by SIGKILL, perhaps for memory"),
        (signal.SIGSEGV, "was killed by SIGSEGV"),
    ],
)
def test_process_that_is_killed_is_an_error_that_names_the_image(blocked, number, reason):
    decoders, result = blocked
    for process in decoders.processes:
        process.send_signal(number)
    with pytest.raises(RunError) as error:
        result.result(60)
    expected = f"a process that decodes images {reason}, while decoding cats/0.png"
    assert str(error.value) == expected


def test_closing_does_not_wait_for_a_process_that_is_stuck(blocked):
    decoders, result = blocked
    closing = threading.Thread(target=decoders.__exit__)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
    assert isinstance(result.exception(60), RunError)
    assert all(process.poll() == -signal.SIGKILL for process in decoders.processes)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (None, "sys.executable=None"),
        ("", "sys.executable="),
        ("/nowhere/python", "sys.executable=/nowhere/python ([Errno 2]"),
        ("/bin/false", "sys.executable=/bin/false, which ended with exit code 1"),
        ("/bin/echo", "sys.executable=/bin/echo, which "),
    ],
)
def test_python_without_a_program_is_one_line(program, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(RunError, match="expected sys.executable to be a Python") as error:
        prepare_config(Config(dataset="synthetic", image_size=16, data_dir=str(tmp_path)))
    assert f" Received: {reason}" in str(error.value)
    assert "\n" not in str(error.value)


def test_frozen_program_is_not_started_again(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(RunError, match=r"sys\.executable=.*, a frozen program"):
        decoding.launch(Preprocessing(16, 3))


def test_program_that_never_answers_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "program").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "program").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "program"))
    monkeypatch.setattr(decoding, "STARTING", 0.1)
    with (
        Decoders(Preprocessing(16, 3)) as decoders,
        pytest.raises(RunError, match="which was killed by SIGKILL"),
    ):
        decoders.submit("a", noise(16, 16)).result(60)
