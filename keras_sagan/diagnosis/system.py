"""Versions, the machine, the locale and the environment variables that matter."""

import importlib.util
import locale
import os
import pathlib
import platform
import re
import sys

from keras_sagan import __version__
from keras_sagan.diagnosis.section import Section
from keras_sagan.runs.provenance import commit, machine, version

# The module of each package that every installation has, by the name under which it is installed.
MODULES = {
    "tensorflow": "tensorflow",
    "keras": "keras",
    "numpy": "numpy",
    "tensorflow-datasets": "tensorflow_datasets",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
    "tensorboard": "tensorboard",
}
# No other variable is shown: some hold passwords. `TF_` is Terraform's prefix, too.
VARIABLES = re.compile(
    "KERAS_BACKEND|CUDA_VISIBLE_DEVICES|XLA_FLAGS|SLURM_STEP_NODELIST|TF_CONFIG|TF_(CPU|CUBLAS|CUDA|"
    "CUDNN|DETERMINISTIC|DISABLE|ENABLE|FORCE|GPU|MLIR|NUM|ONEDNN|USE|XLA)_.*"
)


def examine_versions() -> Section:
    """Versions of this package, of Python and of the packages that it requires."""
    own = commit()
    facts = {
        "keras_sagan": f"{__version__} (commit {own})" if own else __version__,
        "Python": f"{platform.python_version()} ({sys.executable})",
    }
    missing = [name for name, module in MODULES.items() if not importlib.util.find_spec(module)]
    for name in MODULES:
        unknown = "not installed" if name in missing else "unknown"
        facts[name] = version(name) or unknown
    problems = [
        f"{name}: not installed: commands that use it fail; run python -m pip install {name}"
        for name in missing
    ]
    return Section("Versions", facts, problems)


def examine_machine() -> Section:
    """The platform, the processor and what this process may use of them."""
    facts = {
        "platform": platform.platform(),
        "machine": machine(),
        "CPU cores": f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}",
        "memory": describe_memory(),
    }
    return Section("Machine", facts, [])


def describe_memory(meminfo: pathlib.Path = pathlib.Path("/proc/meminfo")) -> str:
    """Total and available memory, as Linux reports them."""
    try:
        sizes = dict(re.findall(r"^(\w+):\s*(\d+) kB$", meminfo.read_text("utf-8"), re.MULTILINE))
        total, available = (int(sizes[name]) / 2**20 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError):
        return "unknown"
    return f"{total:.1f} GiB, {available:.1f} GiB available"


def examine_locale() -> Section:
    """How Python encodes the names and the contents of files."""
    facts = {
        "locale": locale.setlocale(locale.LC_CTYPE),
        "UTF-8 mode": "on" if sys.flags.utf8_mode else "off",
        "file system encoding": sys.getfilesystemencoding(),
        "preferred encoding": locale.getpreferredencoding(False),
        "standard output": str(getattr(sys.stdout, "encoding", None)),
    }
    return Section("Locale", facts, [])


def examine_variables() -> Section:
    """The environment variables that TensorFlow, Keras and Slurm's clusters depend on."""
    names = sorted(name for name in os.environ if VARIABLES.fullmatch(name))
    facts = {name: os.environ[name] or "(empty)" for name in names}
    return Section("Environment variables", facts or {"set": "none of those that matter"}, [])
