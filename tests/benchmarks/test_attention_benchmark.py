"""The report on what attention looks at: networks with known maps, rows with known means."""

import dataclasses
import io
import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmarks.attention import check_run
from benchmarks.measure import subprocesses
from benchmarks.measure.attention_worker import Subjects, compute_shares, draw_maps, measure_run
from benchmarks.report.report_files import render_report
from keras_sagan.config import Config
from keras_sagan.data.prepared import prepare
from keras_sagan.errors import UsageError
from keras_sagan.metrics.coherence import coherence
from keras_sagan.metrics.counterpart import counterpart_share
from keras_sagan.runs.checkpoints import Checkpoints
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training.state import State

GAMMA = 3.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose discriminator, once trained, attends evenly, and whose generator has a gamma."""
    path = tmp_path_factory.mktemp("runs") / "seed_0"
    config = Config(
        dataset="symmetry:40",
        data_dir=str(path.parent / "data"),
        num_classes=4,
        image_size=16,
        image_channels=1,
        z_dim=8,
        g_channels=8,
        d_channels=8,
        g_attention="8,16",
        d_spectral_norm=False,
        ema_start=0,
    )
    run, state = RunDirectory(path), State.create(config)
    path.mkdir(parents=True)
    run.write_config(config)
    run.write_environment(0, ["CPU"], {"data": prepare(config.image_set, config.data_dir).summary})
    for step, gamma in ((1, 0.5), (2, GAMMA)):
        row = {"gamma/g_attention_8": 0.0, "gamma/g_attention_16": gamma}
        run.append("train.jsonl", {"step": step, "seconds": 60.0 * step, **row})
    state.ema_generator.attention_16.gamma.assign(GAMMA)
    query = state.discriminator.attention_8.query.kernel
    query.assign(np.zeros(query.shape))
    state.step.assign(2)
    Checkpoints(run.checkpoints, state, keep=1).save()
    return run


@pytest.fixture(scope="module")
def rows(run):
    with pytest.MonkeyPatch.context() as patch:
        # It names the module that Python was started with, which is not one here.
        patch.setattr(subprocesses, "command_line", lambda **_: "python -m benchmarks.attention")
        return measure_run(run, num_images=16, seed=1)


def of(rows, **facts):
    return [row for row in rows if all(row.get(name) == value for name, value in facts.items())]


@pytest.mark.slow
def test_every_layer_kind_of_images_and_class_has_a_row_before_and_after(rows):
    assert len(of(rows, part="share")) == 2 * 4 * 4
    layers = [("g_attention_8", "generated"), ("g_attention_16", "generated")]
    layers += [("d_attention_8", "generated"), ("d_attention_8", "real")]
    for condition in ("untrained", "trained"):
        for layer, images in layers:
            found = of(rows, condition=condition, layer=layer, images=images)
            assert [(row["label"], row["count"]) for row in found] == [(i, 4) for i in range(4)]


@pytest.mark.slow
def test_shares_are_of_the_weights_of_their_time(rows):
    """The trained discriminator's queries are zero, so it attends to all keys alike."""
    for row in of(rows, layer="d_attention_8", condition="trained"):
        figures = [row[name] for name in ("times_even", "others_times_even", "peak_times_even")]
        assert figures == pytest.approx([1, 1, 1], abs=1e-6)
        assert row["share"] == pytest.approx(row["even"])
        assert row["same_peak"] == 1  # Of equal ones the first.
    for row in of(rows, layer="d_attention_8", condition="untrained"):
        assert row["peak_times_even"] > 1.0001
        assert 1 / 16 <= row["same_peak"] < 1
    real, generated = (
        of(rows, layer="d_attention_8", condition="untrained", images=images)
        for images in ("real", "generated")
    )
    assert all(a["share"] != b["share"] for a, b in zip(real, generated, strict=True))
    for layer in ("g_attention_8", "g_attention_16"):
        assert all(row["share"] != row["even"] for row in of(rows, layer=layer))


def test_a_row_has_the_share_of_its_class_beside_those_of_the_others():
    maps = np.random.default_rng(0).dirichlet(np.ones(16), (2, 8, 8)).reshape(2, 8, 8, 4, 4)
    found = [counterpart_share(maps, label) for label in range(4)]
    times = [shares.mean() / even for shares, even in found]
    row = compute_shares(maps, 2)
    assert (row["share"], row["even"]) == pytest.approx((found[2][0].mean(), found[2][1]))
    assert row["times_even"] == pytest.approx(times[2])
    assert row["others_times_even"] == pytest.approx(np.mean([times[i] for i in (0, 1, 3)]))


def test_a_run_says_what_its_attention_adds_and_where_it_comes_from(rows):
    (row,) = of(rows, part="run")
    assert (row["step"], row["seconds"], row["seed"]) == (2, 120.0, 0)
    assert row["gammas"]["g_attention_16"] == [[1, 0.5], [2, GAMMA]]
    assert row["coherence"] != pytest.approx(row["coherence_without_attention"], abs=1e-3)
    assert row["trained_by"]["data"]["dataset"] == "symmetry:40"
    assert set(row) >= {"command", "commit", "versions", "machine", "cpus", "config"}


def test_subjects_are_of_their_classes(run):
    subjects = Subjects.choose(
        prepare(run.read_config().image_set, run.read_config().data_dir), 8, num_images=16, seed=1
    )
    assert np.bincount(subjects.labels).tolist() == [4, 4, 4, 4]
    assert coherence(subjects.real, subjects.labels) == pytest.approx(1, abs=1e-6)


def test_the_figure_marks_the_counterpart_of_each_position(run):
    drawn = draw_maps(run, seed=1)
    assert len(drawn.axes) == 4 * 6
    # Mirrored left-right, second position: row 2, column 11, of which the mirror is column 4.
    (square,) = drawn.axes[2].patches
    assert square.get_bbox().extents == pytest.approx(np.array([2.5, 0.5, 6.5, 4.5]) / 16)


def share(condition, seed, label, times):
    facts = {"part": "share", "condition": condition, "seed": seed, "label": label, "count": 4}
    facts |= {"layer": "g_attention_16", "images": "generated", "others_times_even": 0.5}
    facts |= {"share": 0.1 * times, "even": 0.1, "times_even": times, "peak_times_even": 7.0}
    facts |= {"same_peak": 0.25}
    return {"benchmark": "attention", "status": "ok"} | facts


def test_a_report_has_means_over_classes_and_their_spread_over_seeds(rows, tmp_path):
    (of_run,) = of(rows, part="run")
    lines = [of_run, of_run | {"seed": 1}]
    for seed, times in ((0, 2.0), (1, 4.0)):
        for label, more in ((0, -0.5), (1, 0.5)):
            lines.append(share("trained", seed, label, times + more))
            lines.append(share("untrained", seed, label, 1.0))
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UsageError, match=r"expected a PNG file. Received: .*maps.png"):
        render_report(tmp_path)
    picture = io.BytesIO()
    Figure((1, 1)).savefig(picture)
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "maps.png").write_bytes(picture.getvalue())
    render_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    whole = (
        "| 30.0 ± 14.1 | 10.0 | 3.00 ± 1.41 | 1.00 ± 0.00 | 0.50 ± 0.00 | 7.00 ± 0.00 | 25 ± 0 |"
    )
    assert f"| g_attention_16 | generated {whole}" in text
    assert "| mirrored up-down | 35.0 ± 14.1 | 10.0 | 3.50 ± 1.41 |" in text
    assert "| seed 1 | 2 | 0.000 | 3.000 |" in text
    assert "![Curves of gamma over generator updates" in text


def test_attention_does_not_mix_with_other_benchmarks(tmp_path):
    lines = [{"benchmark": name, "status": "ok"} for name in ("attention", "speed")]
    (tmp_path / "results.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(UsageError, match="expected only attention. Received: .*speed"):
        render_report(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "digits"},
        {"num_classes": 0},
        {"attention_block": "residual"},
        {"g_attention": "none"},
    ],
)
def test_runs_that_cannot_answer_are_refused(run, tmp_path, changes):
    check_run(run)
    other = RunDirectory(tmp_path)
    other.write_config(dataclasses.replace(run.read_config(), **changes))
    ((name, value),) = changes.items()
    with pytest.raises(UsageError, match=f"whose generator has attention.*{name}={value}"):
        check_run(other)
