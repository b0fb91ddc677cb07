"""The page of `doctor`: its facts, and a line for each thing that does not work."""

import fcntl
import json
import pathlib
import subprocess
import sys
import types

import keras
import pytest
import tensorflow as tf
from keras.src.backend import config as keras_config
from process import environment, is_notice

import keras_sagan
from keras_sagan.diagnosis import (
    folders,
    keras_settings,
    section,
    system,
    tensorflow_process,
    tensorflow_section,
)
from keras_sagan.keras_settings import settings_file

UTF8 = {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
BROKEN = {
    "KERAS_BACKEND": "torch",
    "TF_CONFIG": "{garbage",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}
WORKERS = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
XLA_CRASH = "F0000 00:00:1.5 7 parse_flags.cc:2] Unknown flag in XLA_FLAGS: --none"


def run_doctor(variables, *flags, module="keras_sagan.doctor"):
    """Exit code, standard output, and standard error without TensorFlow's own lines."""
    result = subprocess.run(
        [sys.executable, "-m", *module.split(), *flags],
        capture_output=True,
        text=True,
        env=environment() | variables,
        timeout=600,
        check=False,
    )
    errors = [line for line in result.stderr.splitlines() if not is_notice(line)]
    return result.returncode, result.stdout, errors


def facts_in(page):
    lines = [line.split(": ", 1) for line in page.splitlines() if line.startswith("  ")]
    return {name.strip(): fact.strip() for name, fact in lines}


def test_a_working_installation_has_no_problems(tmp_path):
    home, runs, data = (tmp_path / name for name in ("home", "runs", "data"))
    data.mkdir()
    variables = {"KERAS_HOME": str(home), "PASSWORD": "hunter2", "XLA_FLAGS": "", **UTF8}
    variables["TF_CONFIG"] = json.dumps(WORKERS)
    flags = [f"--run_dir={runs / 'a' / 'b'}", f"--data_dir={data}"]
    code, page, errors = run_doctor(variables, *flags)
    assert page.splitlines()[-1] == "No problems found."
    assert (code, errors) == (0, [])
    facts = facts_in(page)
    assert facts["keras_sagan"].split()[0] == keras_sagan.__version__
    assert (facts["tensorflow"], facts["keras"]) == (tf.__version__, keras.__version__)
    assert (facts["backend"], facts["floatx"]) == ("tensorflow", "float32")
    assert facts["settings file"] == f"{home / 'keras.json'} (absent: defaults apply)"
    assert (facts["GPUs"], facts["XLA on CPU"]) == ("none", "works")
    assert facts["cluster"] == "worker 1 of a:1, b:2"
    assert facts["XLA_FLAGS"] == "(empty)"
    assert "hunter2" not in page
    assert f"absent; its parent {tmp_path} was tried" in page
    assert [facts[trial] for trial in folders.TRIALS] == ["yes"] * 5
    assert not runs.exists()
    assert not list(data.iterdir())


@pytest.mark.slow
def test_everything_broken_is_a_line_each(tmp_path):
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first"}')
    flags = ["--run_dir=/proc/none/a", f"--data_dir={tmp_path / 'keras.json' / 'data'}"]
    code, page, errors = run_doctor(BROKEN | {"KERAS_HOME": str(tmp_path)}, *flags)
    assert (code, errors) == (1, [])
    problems = page.partition("\nProblems\n")[2].splitlines()
    parts = [
        "  - backend=torch in the variable KERAS_BACKEND: keras_sagan runs on the TensorFlow ",
        f"  - image_data_format=channels_first in {tmp_path / 'keras.json'}: the layers ",
        "  - train --strategy=multi_worker cannot start: strategy=multi_worker needs ",
        "  - run_dir=/proc/none/a: not writable (",
        f"  - data_dir={tmp_path / 'keras.json' / 'data'}: not writable "
        f"({tmp_path / 'keras.json'} is not a folder): training cannot prepare data here; use "
        "another --data_dir",
    ]
    assert len(problems) == len(parts)
    for problem, part in zip(problems, parts, strict=True):
        assert problem.startswith(part)
    assert "Received: TF_CONFIG={garbage (" in problems[2]
    assert problems[3].endswith("records here; use another --run_dir")
    facts = facts_in(page)
    assert facts["XLA on CPU"] == "works"
    assert facts["file system encoding"] != "utf-8"  # Shown, though every command copes with it.
    assert [path.name for path in tmp_path.iterdir()] == ["keras.json"]


@pytest.mark.parametrize("module", ["keras_sagan.doctor", "keras_sagan doctor"])
def test_another_backend_stops_other_commands_alone(module):
    code, out, errors = run_doctor({"KERAS_BACKEND": "torch"}, "--help", module=module)
    assert (code, errors) == (0, [])
    assert "--run_dir (default: runs)" in out
    code, _, errors = run_doctor(
        {"KERAS_BACKEND": "torch"}, module=module.replace("doctor", "train")
    )
    assert code == 2
    assert "Received: backend='torch' in KERAS_BACKEND" in errors[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"XLA_FLAGS": "--no_such_flag"}, "--no_such_flag"),
        ({"KERAS_HOME": "float8"}, "ValueError: Invalid `floatx` configuration."),
    ],
)
def test_failures_of_tensorflow_and_keras_are_named(variables, part, tmp_path, monkeypatch):
    (tmp_path / "float8").mkdir()
    (tmp_path / "float8" / "keras.json").write_text('{"floatx": "float8"}')
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    _, facts, (problem,) = tensorflow_section.examine_tensorflow()
    assert facts == {"import": "failed"}
    assert part in problem


# Settings of Keras.


def test_the_settings_file_is_the_one_that_keras_reads(monkeypatch, tmp_path):
    assert str(settings_file()) == keras_config._config_path
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert settings_file() == tmp_path / "keras.json"


@pytest.mark.parametrize(
    ("content", "backend", "state", "problems"),
    [
        (None, "tensorflow", "absent: defaults apply", []),
        ('{"backend": "tensorflow", "epsilon": 1e-7}', "tensorflow", "read", []),
        ("{", "tensorflow", "no JSON: defaults apply", ["Keras ignores it"]),
        ("[]", "tensorflow", "no JSON object", ["Keras cannot be imported"]),
        ('{"backend": "jax"}', "jax", "read", ["backend=jax in "]),
        ('{"image_data_format": "channels_first"}', "tensorflow", "read", ["channels_first"]),
    ],
)
def test_settings_of_keras(content, backend, state, problems, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    path = tmp_path / "keras.json"
    if content:
        path.write_text(content)
    _, facts, found = keras_settings.examine_keras()
    assert facts["backend"] == backend
    assert facts["settings file"] == f"{path} ({state})"
    assert len(found) == len(problems)
    assert all(
        part in problem and str(path) in problem
        for part, problem in zip(problems, found, strict=True)
    )


def test_settings_that_cannot_be_read_and_a_variable_over_them(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").mkdir()
    assert keras_settings.read_settings(tmp_path / "keras.json")[1] == "Is a directory"
    (tmp_path / "keras.json").rmdir()
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert keras_settings.examine_keras().problems == []
    monkeypatch.setenv("KERAS_BACKEND", "")
    (other,) = keras_settings.examine_keras().problems
    assert other.startswith("backend=jax")


# Folders.


def deny(*_):
    raise OSError(13, "Permission denied")


def fail(*_):
    raise OSError(37, "No locks available")


@pytest.mark.parametrize(
    ("broken", "replacement", "trial", "problem"),
    [
        ((fcntl, "flock"), deny, "locks", "locking fails (Permission denied)"),
        (
            (fcntl, "flock"),
            lambda *_: None,
            "locks",
            "locking fails (two holders got the same lock)",
        ),
        ((pathlib.Path, "replace"), fail, "rename", "renaming fails (No locks available)"),
        ((pathlib.Path, "rename"), fail, "rename", "renaming fails (No locks available)"),
        ((folders.os, "fsync"), fail, "writable", "not writable (No locks available)"),
        ((pathlib.Path, "symlink_to"), fail, "symbolic links", None),
        ((pathlib.Path, "hardlink_to"), fail, "hard links", None),
    ],
)
def test_what_a_folder_does_not_allow(broken, replacement, trial, problem, tmp_path, monkeypatch):
    monkeypatch.setattr(*broken, replacement)
    title, facts, problems = folders.examine_folder("run_dir", str(tmp_path), "no run")
    assert title == f"--run_dir={tmp_path}"
    assert facts[trial].startswith("no: ")
    assert [facts[other] for other in folders.TRIALS if other != trial] == ["yes"] * 4
    expected = [f"run_dir={tmp_path}: {problem}: no run; use another --run_dir"] if problem else []
    assert problems == expected
    assert not list(tmp_path.iterdir())


def test_a_broken_link_is_no_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    _, facts, (problem,) = folders.examine_folder("data_dir", str(tmp_path / "link" / "a"), "no")
    assert facts["writable"] == f"no: {tmp_path / 'link'} is not a folder"
    assert "locks" not in facts
    assert problem.startswith(f"data_dir={tmp_path / 'link' / 'a'}: not writable")


# TensorFlow.


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (f"echo '{XLA_CRASH}' >&2; echo '  @ 0x1' >&2; kill -ABRT $$", f"SIGABRT ({XLA_CRASH})"),
        ("echo first >&2; echo last >&2; exit 3", "exit code 3 (last)"),
        ("exit 3", "exit code 3 (no log)"),
        (None, "No such file or directory"),
    ],
)
def test_a_crash_of_tensorflow_is_a_problem(script, reason, tmp_path, monkeypatch):
    program = tmp_path / "python"
    if script:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    title, facts, (problem,) = tensorflow_section.examine_tensorflow()
    assert (title, facts) == ("TensorFlow", {"import": "failed"})
    assert reason in problem
    assert "TensorFlow again" in problem


def test_a_hang_of_tensorflow_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(tensorflow_section, "LIMIT", 0.1)
    assert "timed out after 0.1 seconds" in tensorflow_section.examine_tensorflow().problems[0]


def test_xla_that_fails_is_a_problem(monkeypatch):
    def fail_to_compile(*_, **__):
        raise tf.errors.InternalError(None, None, "libdevice not found\nmore")

    assert tensorflow_process.try_xla(tf, "CPU") is None
    with monkeypatch.context() as patch:
        patch.setattr(tf, "square", lambda number: number + 1.0)
        assert tensorflow_process.try_xla(tf, "CPU") == "the square of 3 is 4.0"
        patch.setattr(tf, "function", fail_to_compile)
        _, facts, (problem,) = tensorflow_process.examine()
    assert facts["XLA on CPU"] == "InternalError: libdevice not found"
    assert problem == "XLA on CPU: InternalError: libdevice not found: use --jit_compile=off"


def test_gpus_are_named_and_missed(monkeypatch, tmp_path):
    details = {"device_name": "A GPU", "compute_capability": (9, 0)}
    gpus = ["GPU:0", "GPU:1"]
    experimental = types.SimpleNamespace(get_device_details=lambda gpu: details)
    config = types.SimpleNamespace(
        list_physical_devices=lambda kind: gpus, experimental=experimental
    )
    fake = types.SimpleNamespace(config=config, sysconfig=tf.sysconfig)
    monkeypatch.setattr(tensorflow_process, "DRIVER", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    facts, problems = tensorflow_process.describe_devices(fake)
    assert (facts["GPU 1"], problems) == ("A GPU, compute capability 9.0", [])
    gpus.clear()
    facts, (problem,) = tensorflow_process.describe_devices(fake)
    assert facts["GPUs"] == "none"
    assert problem.startswith("GPUs: NVIDIA's driver is loaded, but TensorFlow finds no GPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert tensorflow_process.describe_devices(fake)[1] == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "5", json.dumps(WORKERS | {"task": 5})])
def test_a_variable_that_is_no_cluster_is_a_problem(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    fact, (problem,) = tensorflow_process.describe_cluster()
    assert fact == "none that TensorFlow can read"
    assert f"Received: TF_CONFIG={text} (" in problem


# Versions, machine and variables.


def test_missing_packages_are_problems(monkeypatch):
    monkeypatch.setattr(system, "MODULES", {"no-such-package": "no_such_module", "numpy": "numpy"})
    _, facts, (problem,) = system.examine_versions()
    assert facts["no-such-package"] == "not installed"
    assert facts["numpy"][0].isdigit()
    assert problem.endswith("run python -m pip install no-such-package")


def test_memory_is_what_the_system_says(tmp_path):
    path = tmp_path / "meminfo"
    assert system.describe_memory(path) == "unknown"
    path.write_text("MemTotal:        2097152 kB\nMemFree: 1 kB\nMemAvailable:     524288 kB\n")
    assert system.describe_memory(path) == "2.0 GiB, 0.5 GiB available"


def test_only_variables_that_matter_are_shown(monkeypatch):
    shown = {"TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "SLURM_STEP_NODELIST"}
    hidden = {"TOKEN", "MY_TF_CONFIG", "TF_VAR_password", "TF_TOKEN_host", "TF_CPP_MIN_LOG_LEVEL"}
    for name in shown | hidden:
        monkeypatch.setenv(name, "a\nb")
    facts = system.examine_variables().facts
    assert shown <= set(facts)
    assert not hidden & set(facts)


def test_what_cannot_be_examined_is_a_problem():
    assert section.examine("Disk", fail) == section.Section(
        "Disk", {}, ["Disk: cannot be examined: OSError: [Errno 37] No locks available"]
    )


def test_each_fact_and_problem_is_one_aligned_line():
    page = section.format_section(section.Section("A", {"b": "1\n2", "long": "3"}, []))
    assert page == "A\n  b:    1 2\n  long: 3"
    assert section.format_problems(["a\nb", "c"]) == "Problems\n  - a b\n  - c"
