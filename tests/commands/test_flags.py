"""Flags, flag files, help, and one line for each mistake."""

import pathlib

import pytest
from absl import flags
from process import assert_one_line, run

from keras_sagan import commands
from keras_sagan.config import Config

CONFIGS = pathlib.Path(commands.__file__).parent / "configs"
COMMANDS = ["train", "sample", "evaluate", "export"]


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (["--dics_iters=2"], ["Unknown command line flag 'dics_iters'"]),
        (["--d_step=2"], ["Unknown", "Did you mean: d_steps"]),
        (["--batch_size=many"], ["batch_size", "many"]),
        (["--g_lr=fast"], ["g_lr", "fast"]),
        (["--image_size=96"], ["image_size must be a power of 2 from 16 to 512. Received: 96"]),
        (
            ["--image_size=32", "--g_attention=64"],
            ["some of 8,16,32, ", "Received: 64"],
        ),
        (
            ["--image_size=32", "--d_attention=32"],
            ["some of 8,16, ", "Received: 32"],
        ),
        (["--jit_compile=atuo"], ["jit_compile must be one of auto, on, off. Received: atuo"]),
        (["--flagfile=missing.flags"], ["missing.flags"]),
        (["stray"], ["expected flags", "Received: stray"]),
        (["--batch_size=9", "--replicas=2"], ["batch_size", "Received: 9 images for 2 replicas"]),
        (
            ["--jit_compile=on", "--sync_batch_norm", "--replicas=2"],
            ["sync_batch_norm", "jit_compile=off"],
        ),
    ],
)
def test_training_says_what_is_wrong(given, parts, tmp_path):
    more = [f"--data_dir={tmp_path}", "--dataset=synthetic", "--image_size=16"]
    result = run("train", f"--run_dir={tmp_path / 'run'}", *more, *given)
    assert_one_line(result, 2, *parts)
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_run_dir_is_required(command):
    assert_one_line(run(command), 2, "--run_dir is required")


@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_missing_run_is_named(command, tmp_path):
    result = run(command, f"--run_dir={tmp_path / 'none'}")
    assert_one_line(result, 2, "expected a run directory with config.json. Received: run_dir=")


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["--interpolate=1"], "--interpolate must be two seeds"),
        (["--interpolate=a,b"], "--interpolate must be whole numbers"),
        (["--truncation=-1"], "--truncation must be positive. Received: -1.0"),
        (["--columns=0"], "columns"),
        (["--interpolate=0,9999999999"], "--interpolate must be whole numbers of 0 to 2147483647"),
        (["--checkpoint=last"], "checkpoint"),
        (["--output=a.html", "--truncation=1"], "a page offers several truncations"),
        (["--extractor=classifier"], "a grid shows no neighbors; --format=html does"),
        (["--format=html", "--extractor=svm"], "rotation or inception:PATH. Received: svm"),
        (["--seeds=0", "--columns=2"], "--seeds defines the columns. Received with it: --c"),
    ],
)
def test_sampling_says_what_is_wrong(given, part, tmp_path):
    assert_one_line(run("sample", f"--run_dir={tmp_path}", *given), 2, part)


def test_help_groups_every_flag_by_topic():
    code, out, err = run("train", "--help")
    assert (code, err) == (0, "")
    headings = [line[:-1] for line in out.splitlines() if line.endswith(":") and line[0] != " "]
    topics = ["Command", "Model", "Data", "Preprocessing", "Fine-tuning", "Optimization"]
    topics += ["Regularization", "Execution", "Records"]
    assert headings == topics
    for name in ["run_dir", "check", *commands.CONFIG_FIELDS]:
        assert out.count(f"\n  --{name} ") + out.count(f"\n  --{name}\n") == 1, name


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.flags")), ids=lambda path: path.stem)
def test_flag_files_make_a_config(path):
    values = flags.FlagValues()
    for name, field in commands.CONFIG_FIELDS.items():
        commands.DEFINE[field.type](name, field.default, "", flag_values=values)
    values(["train", f"--flagfile={path}"])
    Config(**{name: values[name].value for name in commands.CONFIG_FIELDS})
    assert f"\n# keras-sagan train --recipe={path.stem} " in path.read_text()


def test_binary_flag_file_is_one_line(tmp_path):
    (tmp_path / "a.flags").write_bytes(b"\xff\xfe--batch_size=3")
    assert_one_line(run("train", f"--flagfile={tmp_path / 'a.flags'}"), 2, "no text in utf-16")


def test_flag_files_include_each_other_and_later_flags_win(tmp_path):
    (tmp_path / "inner.flags").write_text("# A comment.\n--batch_size=6\n--image_size=96\n")
    (tmp_path / "outer.flags").write_text("--flagfile=inner.flags\n--image_size=48\n")
    given = ["--flagfile=outer.flags", f"--run_dir={tmp_path / 'run'}"]
    assert_one_line(run("train", *given, cwd=tmp_path), 2, "Received: 48")
    more = ["--image_size=16", "--replicas=4"]
    assert_one_line(run("train", *given, *more, cwd=tmp_path), 2, "6 images for 4 replicas")
