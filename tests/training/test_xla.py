"""Whether XLA compiles the steps: measured once, then kept."""

import dataclasses
import json

import pytest
import smallest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.devices.cluster import Cluster
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training import session, xla
from keras_sagan.training.run import train

ONE = Cluster(tf.distribute.MirroredStrategy(["CPU:0"]))
SETTINGS = smallest.NETWORKS | smallest.DCGAN | {"batch_size": 4}


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

    def time_step(compiled):
        asked.append(compiled)
        return seconds[compiled]

    monkeypatch.setattr(TIMES, "step", time_step)
    return seconds, asked


class TIMES:
    """What measures a step; tests replace it."""

    step = None


def choose(config, run, ahead=10**6):
    return xla.choose_xla(config, run, ONE, TIMES.step, ahead)


@pytest.mark.parametrize(("compiled_s", "chosen"), [(0.005, True), (0.0115, False), (0.02, False)])
def test_the_faster_way_is_chosen_and_said_and_kept(
    config, run, measured, capsys, monkeypatch, compiled_s, chosen
):
    seconds, asked = measured
    seconds[True] = compiled_s
    choice = choose(config, run)
    assert asked == [False, True]
    assert choice["compiles"] is chosen
    assert choice["ms_a_step"] == pytest.approx({"off": 12, "on": 1000 * compiled_s})
    said = capsys.readouterr().err
    assert f"it {'does' if chosen else 'does not'}: {1000 * compiled_s:.1f} ms per step" in said
    # Another run, with another seed.
    assert choose(dataclasses.replace(config, seed=1), run) == choice
    assert len(asked) == 2
    # Another setting, and another processor.
    choose(dataclasses.replace(config, batch_size=8), run)
    assert len(asked) == 4
    monkeypatch.setattr(xla, "machine", lambda: "another")
    choose(config, run)
    assert len(asked) == 6


def test_nothing_is_measured_where_it_does_not_pay_or_was_asked_for(config, run, measured):
    _, asked = measured
    for name, compiles in (("on", True), ("off", False)):
        assert choose(dataclasses.replace(config, jit_compile=name), run) == {"compiles": compiles}
    limited = dataclasses.replace(config, total_minutes=60.0)
    for setting, ahead in ((config, xla.WORTH - 1), (limited, 10**6)):
        assert choose(setting, run, ahead) == {"compiles": False}
    assert asked == []
    choose(config, run, xla.WORTH)
    assert asked == [False, True]
    # Nor does compiling what another run has measured.
    assert choose(config, run, xla.WORTH - 1) == {"compiles": False}


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
    recorded = (({"compiles": False}, False), ({"compiles": True}, True), (None, False))
    for choice, compiles in recorded:
        environment = {"device": "CPU", "xla": choice}
        (run.path / "environment.json").write_text(json.dumps(environment))
        assert choose(config, run)["compiles"] is compiles
    # On a GPU it began with something that says nothing of CPUs.
    (run.path / "environment.json").write_text('{"device": "A GPU", "xla": {"compiles": false}}')
    assert choose(config, run)["compiles"] is True


def test_a_network_that_xla_cannot_compile_is_trained_without(config, run, monkeypatch, capsys):
    def time_step(compiled):
        if compiled:
            raise tf.errors.UnimplementedError(None, None, "no kernel")
        return 0.012

    monkeypatch.setattr(TIMES, "step", time_step)
    choice = choose(config, run)
    assert choice == {"compiles": False, "ms_a_step": {"off": pytest.approx(12), "on": None}}
    assert "it does not: cannot compile them, 12.0 without" in capsys.readouterr().err


@pytest.mark.slow
def test_a_measurement_leaves_no_trace_in_the_numbers(config, tmp_path, monkeypatch):
    """What `auto` has chosen, it trains by: to the bits of a run that was told so."""
    games, real, game = [], xla.median_seconds, session.GAMES[False]

    def median_seconds(run_step):
        assert real(run_step) > 0
        return 0.001 if games[-1] else 1.0

    def spied(config, state, counts, jit_compile, rollbacks):
        games.append(jit_compile)
        return game(config, state, counts, jit_compile, rollbacks)

    monkeypatch.setattr(xla, "WORTH", 8)
    monkeypatch.setattr(xla, "median_seconds", median_seconds)
    monkeypatch.setitem(session.GAMES, False, spied)
    config = dataclasses.replace(config, total_steps=8, log_every=8)
    run = train(config, tmp_path / "auto")
    assert games == [False, True, True]
    assert run.read_config().jit_compile == "auto"
    assert run.read_environment()["xla"] == {"compiles": True, "ms_a_step": {"off": 1000, "on": 1}}
    # A further start measures nothing, whatever is left to do, and goes on as it began.
    config = dataclasses.replace(config, total_steps=16)
    train(config, run.path)
    assert games == [False, True, True, True]
    told = {
        way: train(dataclasses.replace(config, jit_compile=way), tmp_path / way)
        for way in ("on", "off")
    }
    digests = {way: digest(newest_checkpoint(each.checkpoints)) for way, each in told.items()}
    assert digest(newest_checkpoint(run.checkpoints)) == digests["on"] != digests["off"]


def test_a_measurement_that_cannot_be_kept_stops_nothing(config, run, measured, capsys):
    _, asked = measured
    (run.path.parent / "data").mkdir()
    (run.path.parent / "data" / "compilation").write_text("a file where the folder goes")
    for count in (2, 4):
        assert choose(config, run)["compiles"] is True
        assert len(asked) == count
        assert "12.0 without; not kept: " in capsys.readouterr().err
