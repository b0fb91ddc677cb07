"""Locks where the file system has none, with processes of their own."""

import contextlib
import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from keras_sagan import files
from keras_sagan.errors import RunError
from keras_sagan.runs.directory import RunDirectory

# Takes the lock in argv[1], waits for others if argv[2] says what they do, and holds it until
# its standard input ends.
HOLDER = """
import errno, fcntl, os, pathlib, sys

def refuse(*_):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

fcntl.flock = fcntl.lockf = refuse
from keras_sagan.files import locked

with locked(pathlib.Path(sys.argv[1]), *sys.argv[2:]):
    print("holds", flush=True)
    sys.stdin.read()
"""


def refusing(number):
    def lock(*_):
        raise OSError(number, os.strerror(number))

    return lock


@pytest.fixture(autouse=True)
def say_again():
    files.say_once.cache_clear()


@pytest.fixture
def no_locks(monkeypatch):
    for name in ("flock", "lockf"):
        monkeypatch.setattr(fcntl, name, refusing(errno.ENOSYS))


@contextlib.contextmanager
def started(script, *arguments) -> Iterator[Any]:
    """A Python process whose standard input and output are open."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def take(path):
    with files.locked(path):
        return True


@pytest.mark.parametrize("number", sorted(files.UNSUPPORTED))
def test_another_kind_of_lock_is_taken_where_one_is_not_supported(number, tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    script = f"""
import fcntl, sys
file = open({str(tmp_path / "lock")!r}, "a+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("holds", flush=True)
sys.stdin.read()
"""
    with started(script) as process:
        assert process.stdout.readline() == "holds\n"
        with pytest.raises(BlockingIOError):
            take(tmp_path / "lock")
        process.communicate("")
    assert take(tmp_path / "lock")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_other_errors_of_locks_are_not_hidden(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    message = r"run cannot be written: \[Errno 5\] Input/output error"
    with pytest.raises(RunError, match=message), RunDirectory(tmp_path / "run").lock():
        pytest.fail("it was locked")


def test_a_holder_that_has_not_named_itself_is_in_no_empty_message(tmp_path):
    reason = f"in use by another trainer: .*{os.strerror(errno.EAGAIN)}$"
    with (
        files.locked(tmp_path / "lock"),
        pytest.raises(RunError, match=reason),
        RunDirectory(tmp_path).lock(),
    ):
        pytest.fail("it was locked")


def test_a_file_stands_in_for_a_lock(no_locks, tmp_path, capsys):
    for _ in range(2):
        with RunDirectory(tmp_path).lock():
            own = f"process {os.getpid()} on {platform.node()}"
            assert (tmp_path / "lock.held").read_text() == own
            with pytest.raises(RunError) as error, RunDirectory(tmp_path).lock():
                pytest.fail("it was locked twice")
            assert str(error.value) == (
                f"run_dir={tmp_path} is in use by another trainer: {own}; "
                f"if it has ended, remove {tmp_path}/lock.held"
            )
        assert {path.name for path in tmp_path.iterdir()} == {"lock"}
    assert capsys.readouterr().err == (
        f"note: no locks on the file system of {tmp_path}: files *.held stand in for them\n"
    )


def test_it_is_removed_after_an_error_and_after_an_ending_signal(no_locks, tmp_path):
    with pytest.raises(ZeroDivisionError), files.locked(tmp_path / "lock"):
        raise ZeroDivisionError
    with started(HOLDER, tmp_path / "lock") as process:
        assert process.stdout.readline() == "holds\n"
        with pytest.raises(BlockingIOError, match=f"process {process.pid} on "):
            take(tmp_path / "lock")
        process.send_signal(signal.SIGINT)
        assert process.wait(60)
    assert not (tmp_path / "lock.held").exists()


def test_it_is_taken_over_after_a_kill(no_locks, tmp_path):
    with started(HOLDER, tmp_path / "lock") as process:
        assert process.stdout.readline() == "holds\n"
        process.kill()
        process.wait()
    assert f"process {process.pid} on " in (tmp_path / "lock.held").read_text()
    assert take(tmp_path / "lock")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_of_many_that_take_over_at_once_one_holds_it(no_locks, tmp_path):
    (tmp_path / "lock.held").write_text(f"process {killed()} on {platform.node()}")
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(started(HOLDER, tmp_path / "lock")) for _ in range(4)]
        assert sorted(process.stdout.readline() for process in processes) == ["", "", "", "holds\n"]
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "lock.held"}


def test_what_another_process_has_taken_over_is_left_to_it(no_locks, tmp_path, monkeypatch):
    """It was faster by a moment: after the first look at the file, before the guard."""
    (tmp_path / "lock.held").write_text(f"process {killed()} on {platform.node()}")
    create = files.create

    def create_late(path, content):
        if path.name.endswith(files.TAKEOVER):
            (tmp_path / "lock.held").write_text("process 7 on another")
        return create(path, content)

    monkeypatch.setattr(files, "create", create_late)
    with pytest.raises(BlockingIOError, match="process 7 on another"):
        take(tmp_path / "lock")
    assert (tmp_path / "lock.held").read_text() == "process 7 on another"
    assert not (tmp_path / "lock.held.takeover").exists()


def killed():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_an_earlier_process_of_the_same_number_has_ended(no_locks, tmp_path):
    """As in a container that restarts, where the command always is process 1."""
    assert take(tmp_path / "lock")
    (tmp_path / "lock.held").write_text(f"process {os.getpid()} on {platform.node()}")
    assert take(tmp_path / "lock")


@pytest.mark.parametrize("content", ["process 1 on HOST", "process 7 on another", "", "process x"])
def test_a_file_that_may_be_in_use_is_named(content, no_locks, tmp_path):
    """Of a running process, of another host, or of one that was killed before it wrote its name."""
    path = tmp_path / "lock.held"
    path.write_text(content.replace("HOST", platform.node()))
    with pytest.raises(BlockingIOError) as error:
        take(tmp_path / "lock")
    assert str(error.value).endswith(f"; if it has ended, remove {path}")
    path.unlink()
    assert take(tmp_path / "lock")


def test_a_takeover_that_was_killed_is_left_to_the_user(no_locks, tmp_path):
    (tmp_path / "lock.held").write_text(f"process {killed()} on {platform.node()}")
    (tmp_path / "lock.held.takeover").write_text("")
    with pytest.raises(BlockingIOError, match="if it has ended, remove .*lock.held$"):
        take(tmp_path / "lock")
    (tmp_path / "lock.held").unlink()
    assert take(tmp_path / "lock")


def test_a_second_process_waits_for_the_file(no_locks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "POLL", 0.05)
    with started(HOLDER, tmp_path / "lock") as process:
        assert process.stdout.readline() == "holds\n"
        thread = threading.Timer(0.3, process.stdin.close)
        thread.start()
        with files.locked(tmp_path / "lock", "exports"):
            assert process.wait(60) == 0
        thread.join()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"waiting: another process exports here: process {process.pid} on ")
    assert lines[1].endswith(f"; if it has ended, remove {tmp_path}/lock.held")


def test_a_folder_that_cannot_be_flushed_is_written_anyway(tmp_path, monkeypatch):
    """As on some file systems of FUSE."""
    flush = os.fsync

    def flush_files(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", flush_files)
    with files.written_whole(tmp_path / "final") as path:
        path.mkdir()
    assert (tmp_path / "final").is_dir()
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"), files.written_whole(tmp_path / "a") as path:
        path.mkdir()
