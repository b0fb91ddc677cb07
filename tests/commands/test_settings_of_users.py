"""Settings of the user's machine that commands meet: backends, clusters, locales."""

import json
import subprocess
import sys

import forks
import numpy as np
import pytest
from PIL import Image
from process import SIMPLE, assert_one_line, environment, flags, start


def run_with(variables, command, *given, **options):
    process = start(command, *given, env=environment() | variables, **options)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


@pytest.mark.parametrize("command", ["train", "sample", "prepare", "client"])
def test_another_backend_is_one_line(command):
    result = run_with({"KERAS_BACKEND": "torch"}, command)
    assert_one_line(result, 2, "unset KERAS_BACKEND", "Received: backend='torch' in KERAS_BACKEND")


@pytest.mark.parametrize("command", ["train", "evaluate", "explore"])
def test_another_backend_of_keras_json_is_one_line(command, tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "jax"}))
    result = run_with({"KERAS_HOME": str(tmp_path)}, command)
    assert_one_line(result, 2, "backend='jax' in", str(tmp_path / "keras.json"))


@pytest.mark.slow_except("garbage")
@pytest.mark.parametrize("text", ["garbage", '{"cluster": {"worker": 5}}', ""])
def test_a_cluster_that_is_no_json_is_one_line(text, tmp_path):
    result = run_with({"TF_CONFIG": text}, "train", *flags(tmp_path / "run", tmp_path))
    assert_one_line(result, 2, "TF_CONFIG must be the JSON object of a cluster", f"={text}")


@pytest.mark.slow
def test_processes_of_a_cluster_that_work_alone_do_not_wait_for_each_other(tmp_path):
    cluster = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
    for index in range(2):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        place = flags(tmp_path / f"{index}", tmp_path, *SIMPLE, "--total_steps=1")
        for command in (["train", *place], ["sample", place[0], f"--output={tmp_path}/a.png"]):
            code, _, err = run_with({"TF_CONFIG": config}, *command)
            assert code == 0, err
            assert ("works alone, although TF_CONFIG names 2" in err) == (command[0] == "train")


def decoded(folder, python, variables):
    """How a Python with these variables reads and writes names."""
    script = folder / "script.py"
    script.write_text("import sys; print(sys.getfilesystemencoding(), ascii(sys.argv[1:]))")
    command = [python, script, "ü"]
    return subprocess.run(command, env=environment() | variables, stdout=subprocess.PIPE).stdout


@pytest.mark.slow
def test_names_are_read_and_written_in_any_locale(tmp_path):
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0"}
    draw = np.random.default_rng(0)
    for name in ("猫", "犬"):
        (tmp_path / "写真" / name).mkdir(parents=True)
        for i in range(4):
            image = Image.fromarray(draw.integers(0, 256, (16, 16), np.uint8))
            image.save(tmp_path / "写真" / name / f"{i}.png")
    place = ["--run_dir=ü/run", "--data_dir=ü/data"]
    train = [*flags("ü/run", "ü/data"), *SIMPLE, "--dataset=folder:写真", "--total_steps=1"]
    with forks.other_executable(**locale) as python:
        assert decoded(tmp_path, python, locale) == decoded(tmp_path, sys.executable, locale)
        for command in (
            ["train", *train],
            ["sample", place[0], "--output=ü/grid.png"],
            ["sample", place[0], "--output=ü/page.html"],
            ["export", place[0], "--export_dir=ü/export"],
        ):
            code, _, err = run_with(locale, *command, cwd=tmp_path, python=python)
            assert code == 0, err
    assert "犬" in (tmp_path / "ü" / "export" / "1" / "README.md").read_text("utf-8")
