"""Code that commands share: flags made from `Config`, help by topic, one-line errors."""

import contextlib
import dataclasses
import io
import os
import pathlib
import select
import signal
import sys
import textwrap
import threading

from absl import flags

from keras_sagan.classes import parse_labels
from keras_sagan.config import Config
from keras_sagan.errors import RunError, UsageError
from keras_sagan.flag_files import expand_flag_files
from keras_sagan.keras_settings import check_backend
from keras_sagan.options import TOPICS
from keras_sagan.progress import say_line
from keras_sagan.signals import ending_signals
from keras_sagan.values import local_path

DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float}
DEFINE |= {str: flags.DEFINE_string, bool: flags.DEFINE_bool}
# Flags that name files and folders, in all commands.
PATHS = ("run_dir", "data_dir", "output", "export_dir", "preview", "compare", "runs_dir")
PATHS += ("report_dir", "real_statistics", "save_statistics", "real_features", "fake_features")
# Seconds that a process has to clean up after a signal.
GRACE = 10.0
CONFIG_FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def define_config_flags(values=flags.FLAGS):
    """Defines a flag for each field of `Config` in `values`, by default the command line's."""
    for name, field in CONFIG_FIELDS.items():
        text, rule = field.metadata["help"], field.metadata["rule"]
        if rule.choices:
            text += f" {rule.text.capitalize()}."
        DEFINE[field.type](name, field.default, text, flag_values=values)


def config_from_flags(values=flags.FLAGS, base=None):
    """The `Config` that parsed flags describe; flags not given have the values of `base`."""
    return Config(
        **{
            name: getattr(values if base is None or values[name].present else base, name)
            for name in CONFIG_FIELDS
        }
    )


def run(main, description, module=None, check=True):
    """Parses the command line, calls `main()` and exits.

    Exit codes: 0 for success, 1 for a failed run, 2 for an invalid request, 128 + N if signal N
    ended it: 130 if interrupted, 143 if terminated, 141 if the reader of standard output is gone.
    `--help` shows `description` and the flags of `module`, by default the program. `check`: whether
    settings with which nothing works end it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files and classes may have characters that standard output cannot encode.
        sys.stdout.reconfigure(errors="backslashreplace")
    for number in ending_signals():
        if number != signal.SIGINT:  # Python raises `KeyboardInterrupt`.
            signal.signal(number, terminate)
    try:
        call_main(main, description, module or sys.argv[0], check)
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        if not is_reader_gone(sys.stdout):
            raise
        sys.exit(128 + signal.SIGPIPE)
    finally:
        drop_unreadable()


def call_main(main, description, module, check):
    """Parses the command line and calls `main()`; failures end the process with one line."""
    # Show only errors of TensorFlow's log: our one-line warnings replace its longer ones.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    flags.DEFINE_bool("help", False, "Show this text.", short_name="h")
    flags.DEFINE_string("recipe", None, "A packaged flag file.")
    try:
        extra = flags.FLAGS([sys.argv[0], *expand_flag_files(sys.argv[1:])])[1:]
        if flags.FLAGS.help:
            print(help_text(description or "Python's option -OO removes the description.", module))
            return
        if extra:
            raise UsageError(f"expected flags, as --name=value. Received: {' '.join(extra)}")
        if check:
            check_settings()
        expand_paths()
        main()
    except (flags.Error, UsageError) as error:
        fail(error, 2)
    except RunError as error:
        fail(error, 1)
    except OSError as error:
        if error.filename is None:  # It is about no path, e.g. a pipe.
            raise
        fail(error, 1)
    except MemoryError as error:
        fail(f"out of memory: {error}", 1)
    except KeyboardInterrupt:
        fail("interrupted", 130)


def expand_paths():
    """Checks the flags that are paths, and puts the home folder in the place of `~`."""
    for name in PATHS:
        if name in flags.FLAGS and (value := flags.FLAGS[name].value):
            flags.FLAGS[name].value = local_path(name, value)


def check_settings():
    """Raises a `UsageError` for settings of the user with which nothing works."""
    try:
        check_backend()
    except ImportError as error:
        raise UsageError(str(error)) from error


def terminate(number, _):
    """Handles a signal: ends the process with one line."""
    # Python drops exceptions that handlers raise in destructors and callbacks.
    timer = threading.Timer(GRACE, os._exit, [128 + number])
    timer.daemon = True
    timer.start()
    fail("terminated", 128 + number)


def fail(reason, code):
    line = " ".join(str(reason).split())
    say_line(f"{sys.argv[0].rpartition('/')[2]}: error: {line}")
    sys.exit(code)


def is_reader_gone(stream):
    """Whether a stream leads to a pipe without a reader, or to a closed terminal."""
    poll = select.poll()
    if stream:
        poll.register(stream.fileno(), 0)  # Errors are reported in any case.
    return bool(poll.poll(0))


def drop_unreadable():
    """Drops output that nobody can read: Python would try again at its end, and complain."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "w", encoding="utf-8") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def require(name):
    """The value of flag `name`; raises `UsageError` if it was not given."""
    value = getattr(flags.FLAGS, name)
    if not value:
        raise UsageError(f"--{name} is required")
    return value


def integers(name, least=-(2**63), most=2**63 - 1):
    """The list flag `name` as ints; None if it was not given and has no default.

    Raises:
        UsageError: if it is empty, or an item is not an int from `least` to `most`.
    """
    texts = getattr(flags.FLAGS, name)
    if texts is None:
        return None
    try:
        values = [int(text) for text in texts]
    except ValueError:
        values = []
    if not values or min(values) < least or max(values) > most:
        raise UsageError(
            f"--{name} must be whole numbers of {least} to {most}, as 3,7. "
            f"Received: {','.join(texts)}"
        )
    return values


def class_labels(run, config):
    """The flag `--labels` as labels of a run, and the names of the run's classes.

    Args:
        run: its `RunDirectory`.
        config: its configuration, with the `data_dir` to look in.

    Returns:
        The labels, or None if the flag was not given; the names, or None if they are unknown.

    Raises:
        UsageError: if the run has no classes, or lacks one of these.
    """
    from keras_sagan.runs.run_data import read_class_names

    names, texts = None, flags.FLAGS.labels
    with contextlib.suppress(RunError):  # A damaged record hides only the names.
        names = read_class_names(run, config)
    if texts is None:
        return None, names
    if not config.num_classes:
        raise UsageError(f"--labels needs a run with classes. Received: {','.join(texts)}")
    return parse_labels("--labels", texts, config.num_classes, names), names


def write(name, save):
    """Creates the folder of the path in flag `name`, calls `save(path)` and returns the path.

    Raises:
        RunError: if it cannot be written.
    """
    path = pathlib.Path(getattr(flags.FLAGS, name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path)
    except OSError as error:
        raise RunError(f"--{name}={path} cannot be written: {error}") from error
    return path


def page_writer(text):
    """For `write`: saves `text`, also with file names that Python could not decode."""
    return lambda path: path.write_text(text, "utf-8", "surrogateescape")


def help_text(description, module):
    """The help: the command's own flags, then the flags of `Config` by topic."""
    own = flags.FLAGS.get_flags_for_module(module)
    topics = {"Command": own}
    for topic, options in TOPICS.items():
        names = [field.name for field in dataclasses.fields(options) if field.name in flags.FLAGS]
        topics[topic] = [flags.FLAGS[name] for name in names if flags.FLAGS[name] not in own]
    lines = [description.strip()]
    if any(topics.values()):
        lines += [
            "",
            "Flags may come from files: --flagfile=PATH, which may nest, or --recipe=NAME for a",
            "packaged one (`keras-sagan recipes` lists them). Later flags override earlier ones.",
        ]
    for topic, members in topics.items():
        lines += ["", f"{topic}:"] if members else []
        for flag in members:
            default = "" if flag.default is None else f" (default: {flag.default})"
            lines.append(f"  --{flag.name}{default}")
            lines += textwrap.wrap(flag.help, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)
