"""Whether XLA compiles the steps: measured once, then kept."""

import dataclasses
import json

import pytest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.errors import RunError
from keras_sagan.training import compilation
from keras_sagan.training.checkpoint_files import latest
from keras_sagan.training.run import train
from keras_sagan.training.run_directory import RunDirectory
from keras_sagan.training.state import digest

ONE = tf.distribute.MirroredStrategy(["CPU:0"])
SETTINGS = {"image_size": 16, "image_channels": 1, "z_dim": 4, "g_channels": 2, "d_channels": 2}
SETTINGS |= {"batch_size": 4, "model": "dcgan", "g_attention": "none", "d_attention": "none"}
SETTINGS |= {"g_spectral_norm": False, "d_spectral_norm": False}


@pytest.fixture
def config(tmp_path):
    return Config(**SETTINGS, data_dir=str(tmp_path / "data"))


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    return run


@pytest.fixture
def measured(monkeypatch):
    """Seconds a step, by whether XLA compiles it, and what was measured."""
    seconds, asked = {False: 0.012, True: 0.010}, []

    def seconds_a_step(config, strategy, create, prepared, compiled):
        asked.append(compiled)
        return seconds[compiled]

    monkeypatch.setattr(compilation, "seconds_a_step", seconds_a_step)
    return seconds, asked


def choose(config, run, ahead=10**6):
    return compilation.choose(config, run, ONE, None, None, ahead)


@pytest.mark.parametrize(("compiled_s", "chosen"), [(0.005, True), (0.0115, False), (0.02, False)])
def test_the_faster_way_is_chosen_and_said_and_kept(
    config, run, measured, capsys, compiled_s, chosen
):
    seconds, asked = measured
    seconds[True] = compiled_s
    choice = choose(config, run)
    assert asked == [False, True]
    assert choice["compiles"] is chosen
    assert choice["ms_a_step"] == pytest.approx({"off": 12, "on": 1000 * compiled_s})
    said = capsys.readouterr().err
    assert f"it {'does' if chosen else 'does not'}: {1000 * compiled_s:.1f} ms a step" in said
    # Another run, with another seed.
    assert choose(dataclasses.replace(config, seed=1, total_steps=5), run, 1) == choice
    assert len(asked) == 2
    # Another setting.
    choose(dataclasses.replace(config, batch_size=8), run)
    assert len(asked) == 4


def test_nothing_is_measured_where_it_does_not_pay_or_was_asked_for(config, run, measured):
    _, asked = measured
    for name, compiles in (("on", True), ("off", False)):
        assert choose(dataclasses.replace(config, jit_compile=name), run) == {"compiles": compiles}
    assert choose(config, run, compilation.WORTH - 1) == {"compiles": False}
    assert asked == []
    choose(config, run, compilation.WORTH)
    assert asked == [False, True]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"compiles": 1}', "null"])
def test_a_broken_file_is_measured_again(config, run, measured, text):
    _, asked = measured
    choice = choose(config, run)
    (path,) = (run.path.parent / "data" / "compilation").glob("*.json")
    path.write_text(text)
    assert choose(config, run) == choice
    assert len(asked) == 4
    assert json.loads(path.read_text()) == choice


def test_a_run_keeps_what_it_began_with(config, run, measured):
    choose(config, run)
    for xla, compiles in (({"compiles": False}, False), ({"compiles": True}, True), (None, False)):
        environment = {"device": "CPU", "xla": xla}
        (run.path / "environment.json").write_text(json.dumps(environment))
        assert choose(config, run)["compiles"] is compiles
    # On a GPU it began with something that says nothing of CPUs.
    (run.path / "environment.json").write_text('{"device": "A GPU", "xla": {"compiles": false}}')
    assert choose(config, run)["compiles"] is True


def test_a_measurement_leaves_no_trace_in_the_numbers(config, tmp_path, monkeypatch):
    """What `auto` has chosen, it trains by: to the bits of a run that was told so."""
    monkeypatch.setattr(compilation, "WORTH", 8)
    config = dataclasses.replace(config, total_steps=8, log_every=8)
    run = train(config, tmp_path / "auto")
    assert run.read_config().jit_compile == "auto"
    xla = run.read_environment()["xla"]
    assert xla["ms_a_step"].keys() == {"off", "on"}
    told = dataclasses.replace(config, jit_compile="on" if xla["compiles"] else "off")
    other = train(told, tmp_path / "told")
    assert other.read_environment()["xla"] == {"compiles": xla["compiles"]}
    assert digest(latest(run.checkpoints)) == digest(latest(other.checkpoints))


def test_a_measurement_that_cannot_be_kept_stops_the_run(config, tmp_path, monkeypatch):
    monkeypatch.setattr(compilation, "WORTH", 8)
    monkeypatch.setattr(compilation, "seconds_a_step", lambda *_: 0.01)
    train(dataclasses.replace(config, total_steps=1), tmp_path / "first")
    (tmp_path / "data" / "compilation").write_text("a file where the folder goes")
    with pytest.raises(RunError, match="stopped; .*compilation"):
        train(dataclasses.replace(config, total_steps=8), tmp_path / "second")
