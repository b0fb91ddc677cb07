"""Fine-tuning as a user starts it."""

import json
import shutil

import pytest
import smallest
from process import SIMPLE, TINY, assert_one_line, environment, free_ports, run, start
from sources import make_source

from keras_sagan.config import Config
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest
from keras_sagan.runs.directory import RunDirectory

FINE = ["--init_from=source", "--freeze_d=1", "--dataset=symmetry:40", "--num_classes=-1"]


def test_mistakes_are_one_line(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "source")
    flags = (tmp_path / "source" / "config.json").read_text()
    config = json.loads(flags)
    sizes = [f"--{name}={config[name]}" for name in ("image_size", "image_channels", "z_dim")]
    place = ["--run_dir=run", "--init_from=source"]
    for given, code, parts in (
        (sizes, 2, ["init_from=source has networks of other sizes: it needs g_channels=2, d_ch"]),
        (["--freeze_d=8"], 2, ["freeze_d must be at most 6, the blocks of this discriminator"]),
        (["--init_from=preset:b"], 2, ["init_from=preset:b: expected a preset of this version: d"]),
        (["--init_from=gs://a/b"], 2, ["init_from must be a path on this machine"]),
        (["--init_from=", "--freeze_d=1"], 2, ["freeze_d keeps the weights of init_from"]),
    ):
        assert_one_line(run("train", *place, *given, cwd=tmp_path), code, *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.slow
def test_a_fine_tuned_run_is_used_like_any_other(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "source")
    config = json.loads((tmp_path / "source" / "config.json").read_text())
    names = ("image_size", "image_channels", "z_dim", "g_channels", "d_channels", "batch_size")
    same = [f"--{name}={config[name]}" for name in names]
    given = [*same, *FINE, "--jit_compile=off", "--checkpoint_every=1"]
    code, _, err = run("train", "--run_dir=run", "--total_steps=1", *given, cwd=tmp_path)
    assert code == 0, err
    assert "variables that belong to single classes are new" in err
    shutil.rmtree(tmp_path / "source")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").rename(tmp_path / "elsewhere" / "run")
    for command in (
        ["train", "--total_steps=2", f"--data_dir={tmp_path / 'data'}"],
        ["evaluate", "--num_samples=16", f"--data_dir={tmp_path / 'data'}"],
        ["sample", "--output=a.png"],
        ["explore", "--output=b.html"],
        ["export", "--export_dir=exports"],
    ):
        code, _, err = run(command[0], "--run_dir=elsewhere/run", *command[1:], cwd=tmp_path)
        assert code == 0, err
    assert digest(newest_checkpoint(tmp_path / "elsewhere" / "run" / "checkpoints"))
    card = (tmp_path / "exports" / "2" / "README.md").read_text("utf-8")
    assert "--init_from=source --freeze_d=1" in card
    assert str(tmp_path) not in card
    recorded = RunDirectory(tmp_path / "elsewhere" / "run").read_environment()
    assert recorded["init_from"]["new_variables"] == 10


@pytest.mark.slow
def test_two_workers_start_with_the_same_weights(data_dir, tmp_path):
    """They make what two replicas of one process make."""
    fields = smallest.RUN | smallest.DCGAN | {"num_classes": 10}
    make_source(tmp_path / "source", Config(**fields))
    given = [f"--init_from={tmp_path / 'source'}", "--freeze_d=1", f"--data_dir={data_dir}"]
    given += [*TINY, *SIMPLE, "--total_steps=3", "--seed=5"]
    ports = free_ports(2)
    more = [f"--run_dir={tmp_path / 'workers'}", "--strategy=multi_worker"]
    both = [start("train", *given, *more, env=environment(ports, index)) for index in range(2)]
    for process in both:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    code, _, err = run("train", *given, f"--run_dir={tmp_path / 'replicas'}", "--replicas=2")
    assert code == 0, err
    places = [tmp_path / name / "checkpoints" for name in ("workers", "replicas")]
    assert len({digest(newest_checkpoint(place)) for place in places}) == 1
