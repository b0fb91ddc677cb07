"""What the commands share: flags made from `Config`, help by topic, errors as one line."""

import dataclasses
import io
import os
import pathlib
import signal
import sys
import textwrap

from absl import flags

from keras_sagan.config import Config
from keras_sagan.errors import RunError, UsageError
from keras_sagan.options import TOPICS

DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float}
DEFINE |= {str: flags.DEFINE_string, bool: flags.DEFINE_bool}
CONFIG_FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def define_config_flags(values=flags.FLAGS):
    """One flag for each field of `Config`, in `values`: those of the command line or others."""
    for name, field in CONFIG_FIELDS.items():
        text, rule = field.metadata["help"], field.metadata["rule"]
        if rule.choices:
            text += f" {rule.text.capitalize()}."
        DEFINE[field.type](name, field.default, text, flag_values=values)


def config_from_flags(values=flags.FLAGS):
    """The `Config` that parsed flags describe."""
    return Config(**{name: getattr(values, name) for name in CONFIG_FIELDS})


def run(main, description, module=None):
    """Parses the command line, calls `main()` and exits.

    Exit codes: 0, 1 for a run that failed, 2 for a wrong request, 130 when interrupted and 143 when
    terminated. `--help` shows `description`, and the flags of `module`, by default the one started.
    """
    own = sys.argv[0]
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files and classes may hold what standard output cannot.
        sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, lambda *_: fail("terminated", 143))
    # Of TensorFlow's own log only errors: its warnings say in several lines what ours say in one.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    flags.DEFINE_bool("help", False, "Show this text.", short_name="h")
    try:
        extra = flags.FLAGS(sys.argv)[1:]
        if flags.FLAGS.help:
            print(help_text(description, module or own))
            return
        if extra:
            raise UsageError(f"expected flags, as --name=value. Received: {' '.join(extra)}")
        main()
    except (flags.Error, UsageError, UnicodeDecodeError) as error:
        fail(error, 2)
    except RunError as error:
        fail(error, 1)
    except MemoryError as error:
        fail(f"out of memory: {error}", 1)
    except KeyboardInterrupt:
        fail("interrupted", 130)


def fail(reason, code):
    line = " ".join(str(reason).split())
    print(f"{sys.argv[0].rpartition('/')[2]}: error: {line}", file=sys.stderr)
    sys.exit(code)


def require(name):
    """The value of flag `name`; raises `UsageError` if it was not given."""
    value = getattr(flags.FLAGS, name)
    if not value:
        raise UsageError(f"--{name} is required")
    return value


def integers(name, least=-(2**63), most=2**63 - 1):
    """The list flag `name` as ints; None if it was not given and has no default.

    Raises:
        UsageError: if it is empty or has something else.
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


def write(name, save):
    """Calls `save` with the path that flag `name` gives, whose folder it makes; returns the path.

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


def help_text(description, module):
    """The command's own flags, then those of `Config` by topic."""
    own = flags.FLAGS.get_flags_for_module(module)
    topics = {"Command": own}
    for topic, options in TOPICS.items():
        names = [field.name for field in dataclasses.fields(options) if field.name in flags.FLAGS]
        topics[topic] = [flags.FLAGS[name] for name in names if flags.FLAGS[name] not in own]
    lines = [description.strip(), "", "Flags may stand in files: --flagfile=PATH, also in a file."]
    for topic, members in topics.items():
        lines += ["", f"{topic}:"] if members else []
        for flag in members:
            default = "" if flag.default is None else f" (default: {flag.default})"
            lines.append(f"  --{flag.name}{default}")
            lines += textwrap.wrap(flag.help, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)
