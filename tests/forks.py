"""Python processes that do not wait for TensorFlow's import: forks of one that has imported it.

`executable()` stands in for `sys.executable` where a test starts many processes: `-m MODULE` and
scripts run in a fork, with their own streams, folder, variables and signals, and what these start
by `sys.executable` does too. Everything else runs in Python itself, and so does a process with
other variables than this one in what TensorFlow or Python reads while they start: those that need
other options or variables share an `other_executable`.
"""

import atexit
import contextlib
import functools
import gc
import json
import os
import pathlib
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading

CLIENT = pathlib.Path(__file__).with_name("fork_client.py")
READ_AT_START = ("TF_", "XLA_", "KERAS_", "PYTHON", "LD_", "GLIBC_", "OMP_")
READ_LATER = ("TF_CONFIG", "TF_CPP_MIN_LOG_LEVEL")


@functools.cache
def executable():
    """Path of a program that takes the arguments of Python."""
    program, server = start_server((), {})
    atexit.register(server.communicate)
    return program


@contextlib.contextmanager
def other_executable(*options, **variables):
    """The same while the context lasts, for a Python with these options and variables."""
    program, server = start_server(options, variables)
    try:
        yield program
    finally:
        server.communicate()


def start_server(options, variables):
    """The path of the program, and the process that forks for it until its input ends."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="forks-"))
    program = folder / "python"
    client = [sys.executable, "-IS", str(CLIENT), str(folder / "socket"), " ".join(options)]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(client)} "$@"\n')
    program.chmod(0o755)
    command = [sys.executable, *options, __file__, folder]
    streams = {"stdin": subprocess.PIPE, "start_new_session": True}
    return str(program), subprocess.Popen(command, env=os.environ | variables, **streams)


def serve(folder):
    """Forks for every connection, until standard input ends."""
    before = dict(os.environ)
    import_what_takes_long()
    defaults = {name: os.environ[name] for name in set(os.environ) - set(before)}
    gc.freeze()  # What a fork does not touch it need not copy.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket.tmp"))
        server.listen(128)
        (folder / "socket.tmp").rename(folder / "socket")
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            connection = server.accept()[0]
            if os.fork() == 0:
                server.close()
                return attend(connection, before, defaults, folder / "python")
            connection.close()
    for path in (folder / "socket", folder / "python"):
        path.unlink()
    folder.rmdir()


def import_what_takes_long():
    import keras  # noqa: F401
    import tensorflow  # noqa: F401
    import tensorflow_datasets  # noqa: F401
    from absl import flags

    import keras_sagan  # noqa: F401 (it sets variables that TensorFlow reads)

    # A command has parsed its flags before it imports those who define these.
    for name in set(flags.FLAGS) - {"flagfile", "undefok"}:
        delattr(flags.FLAGS, name)


def attend(connection, variables, defaults, program):
    """The fork between server and process: passes signals on, and how the process ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, 2**20, 3)
    while b"\n" not in message:
        received = connection.recv(2**20)
        if not received:  # A signal has ended the client.
            os._exit(0)
        message += received
    text, _, early_signals = message.partition(b"\n")
    request = json.loads(os.fsdecode(text))
    if at_start(variables) != at_start(request["variables"]):
        connection.send(b"n")
        os._exit(0)
    child = os.fork()
    if child == 0:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        renew_streams()
        os.environ.clear()
        os.environ.update(defaults | request["variables"])
        os.chdir(request["folder"])
        sys.executable = str(program)
        return end(play, request["arguments"])
    for stream in (*streams, 0, 1, 2):
        os.close(stream)
    try:
        connection.send(b"y")
        for number in early_signals:
            os.kill(child, number)
        pass_on(connection, child)
    except OSError:
        os.kill(child, signal.SIGKILL)
    finally:
        os._exit(0)


def renew_streams():
    """Whether a stream can seek and how it is buffered depends on what it leads to."""
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)


def at_start(variables):
    return {
        name: value
        for name, value in variables.items()
        if name.startswith(READ_AT_START) and name not in READ_LATER
    }


def pass_on(connection, child):
    """Signals to the process, until it ends; a client that has gone has been killed."""
    ended, poll = os.pidfd_open(child), select.poll()
    for each in (ended, connection):
        poll.register(each, select.POLLIN)
    while ended not in dict(poll.poll()):
        number = connection.recv(1)
        if not number:
            raise ConnectionError
        os.kill(child, number[0])
    status = os.waitpid(child, 0)[1]
    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def end(function, *arguments):
    """Calls the function and ends the process, without taking all modules apart.

    An exception is left to Python.
    """
    code = 0
    try:
        function(*arguments)
    except SystemExit as error:
        code = 0 if error.code is None else error.code
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


def play(arguments):
    """What Python does with these arguments."""
    if arguments[0] == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    serve(pathlib.Path(sys.argv[1]))
