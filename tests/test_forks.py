"""Processes that are forks behave as Python's own do."""

import os
import signal
import subprocess
import sys

import forks
import pytest

SCRIPT = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell may have it ignored.
sys.stderr.write("error\\n")
print(sys.argv[1:], os.getcwd(), os.environ.get("A"), "tensorflow" in sys.modules, flush=True)
if sys.argv[1] == "wait":
    time.sleep(600)
if sys.argv[1].isdecimal():
    sys.exit(int(sys.argv[1]))
signal.raise_signal(signal.Signals[sys.argv[1]])
"""
EXECUTABLES = pytest.mark.parametrize("executable", [sys.executable, forks.executable])


@pytest.fixture
def start(tmp_path):
    """`start(executable, argument)`: a process of the script, in a folder of its own."""
    (tmp_path / "script.py").write_text(SCRIPT)

    def start(executable, *arguments, **variables):
        program = executable if isinstance(executable, str) else executable()
        return subprocess.Popen(
            [program, tmp_path / "script.py", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"A": "B"} | variables,
        )

    return start


@EXECUTABLES
@pytest.mark.parametrize(
    ("argument", "code"), [("0", 0), ("7", 7), ("SIGTERM", -15), ("SIGKILL", -9), ("SIGINT", -2)]
)
def test_streams_folder_variables_and_exit_code(executable, argument, code, start, tmp_path):
    process = start(executable, argument)
    out, err = process.communicate()
    assert process.returncode == code
    assert out == f"{[argument]} {tmp_path} B {executable is forks.executable}\n"
    assert err.startswith("error\n")


@EXECUTABLES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(executable, number, start):
    process = start(executable, "wait")
    process.stdout.readline()
    process.send_signal(number)
    assert process.communicate() == ("", "error\n")  # All that held the streams has ended.
    assert process.returncode == -number


def test_what_is_read_at_start_needs_another_process(start):
    out, _ = start(forks.executable, "0", TF_ENABLE_ONEDNN_OPTS="0").communicate()
    assert out.endswith("False\n")


def test_modules_run_by_name():
    command = [forks.executable(), "-m", "keras_sagan.sample", "--run_dir=/none"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("sample.py: error: expected a run directory")
    assert result.stderr.count("\n") == 1
