"""A comparison as a user starts it: complete, killed and resumed, and with rows that fail."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import time

import forks
import pandas as pd
import pytest
import smallest
from bench import ROOT

from benchmarks.comparison import collect, runner
from benchmarks.comparison.suite import Suite
from keras_sagan.errors import UsageError
from keras_sagan.metrics.protocol import current_name
from keras_sagan.runs.directory import RunDirectory

FIELDS = smallest.NETWORKS | {"batch_size": 4, "ema_start": 3, "log_every": 5}
COMMON = [f"--common={flag}" for flag in smallest.as_flags(FIELDS)]
SAGAN = " ".join(["sagan", *smallest.as_flags(smallest.DCGAN)])
TIMINGS = ["seconds", "commit"]


def flags(folder, rows):
    return [
        "--suite=tiny",
        "--title=Tiny",
        *(f"--row={row}" for row in rows),
        "--reference=sagan",
        "--seeds=0",
        "--steps=20",
        "--score_every=10",
        "--num_samples=64",
        "--metrics=fd64",
        "--threshold=1e9",
        f"--runs_dir={folder / 'runs'}",
        f"--report_dir={folder / 'report'}",
        f"--data_dir={folder.parent / 'data'}",
        *COMMON,
    ]


def start(folder, rows):
    return subprocess.Popen(
        [forks.executable(), "-m", "benchmarks.compare", *flags(folder, rows)],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=600)
    assert "Traceback" not in err
    return process.returncode, out, err


def table(folder):
    return pd.read_parquet(folder / "report" / "results.parquet")


def wait_until(condition):
    until = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def records_of(run):
    path = run / "train.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory, classified):
    """Two rows from beginning to end: the folder, and what was said."""
    folder = tmp_path_factory.mktemp("compare") / "whole"
    (folder.parent / "data").symlink_to(classified)
    return folder, finish(start(folder, [SAGAN, "dcgan_conditional"]))


def test_rows_become_a_table_and_a_page(whole):
    folder, (code, out, err) = whole
    assert code == 0, err
    assert str(folder / "report" / "report.html") in out
    lines = table(folder)
    assert set(lines["status"]) == {"ok"}
    for row in ("sagan", "dcgan_conditional"):
        own = lines[lines["row"] == row]
        kinds = {"finished", "g_parameters", "d_macs", "d_loss", "fd64", "diversity"}
        assert set(own["metric"]) >= kinds
        scores = own[own["metric"] == "fd64"]
        assert list(scores["step"]) == [10, 20]
        assert list(scores["images"]) == [40, 80]
        assert scores["seconds"].is_monotonic_increasing
        assert (scores["n_fake"] == 64).all()
    page = (folder / "report" / "report.html").read_text()
    assert "dcgan_conditional" in page
    suite = json.loads((folder / "report" / "suite.json").read_text())
    assert suite["rows"]["sagan"]["config"]["g_attention"] == "none"
    train, score = suite["commands"]["sagan/seed_0"]
    assert train.startswith(
        "python -m keras_sagan.train --flagfile=keras_sagan/configs/sagan.flags"
    )
    assert score.startswith("python -m keras_sagan.evaluate ")


def test_pandas_alone_says_which_row_is_best_at_equal_minutes(whole):
    folder, _ = whole
    scores = table(folder).query("metric == 'fd64' and seconds <= 60 * 60")
    best = scores.groupby(["row", "seed"])["value"].min().groupby("row").mean()
    recorded = {
        row: min(
            line["value"]
            for line in map(json.loads, path.read_text().splitlines())
            if current_name(line["metric"]).startswith("fd64/")
        )
        for row in ("sagan", "dcgan_conditional")
        for path in [folder / "runs" / row / "seed_0" / "metrics.jsonl"]
    }
    assert best.to_dict() == recorded


def test_finished_runs_are_skipped(whole):
    folder, _ = whole
    before = table(folder)
    code, _, err = finish(start(folder, [SAGAN, "dcgan_conditional"]))
    assert code == 0
    assert "2 of 2 runs are finished" in err
    pd.testing.assert_frame_equal(table(folder), before)


@pytest.mark.slow
def test_killed_and_started_again_it_gives_the_same_table_but_for_timings(whole, tmp_path):
    folder = tmp_path / "killed"
    (tmp_path / "data").symlink_to(whole[0].parent / "data")
    process = start(folder, [SAGAN, "dcgan_conditional"])
    run = folder / "runs" / "dcgan_conditional" / "seed_0"
    wait_until(lambda: records_of(run) >= 2)
    log = run.with_name("seed_0.log")
    assert writing_to(log)
    process.kill()
    process.communicate()
    wait_until(lambda: not writing_to(log))
    assert records_of(run) < 4
    code, _, err = finish(start(folder, [SAGAN, "dcgan_conditional"]))
    assert code == 0, err
    assert "1 of 2 runs are finished" in err
    rates = "metric not in ('images_per_s', 'steps_per_s')"
    first, second = (
        table(each).query(rates).drop(columns=TIMINGS).reset_index(drop=True)
        for each in (whole[0], folder)
    )
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.slow
def test_failures_stand_in_the_report_beside_the_others(whole, tmp_path):
    folder = tmp_path / "failures"
    (tmp_path / "data").symlink_to(whole[0].parent / "data")
    rows = [
        "refused=sagan --g_attention=7",
        "unknown=sagan --no_such_flag=1",
        "diverged=dcgan_conditional --d_lr=1e38",
        "killed=dcgan_conditional",
        "sagan=dcgan_conditional",
    ]
    process = start(folder, rows)
    log = folder / "runs" / "killed" / "seed_0.log"
    wait_until(lambda: log.exists() and writing_to(log))
    os.kill(writing_to(log)[0], signal.SIGKILL)
    code, out, err = finish(process)
    assert code == 1
    assert "4 of 5 runs did not finish" in err.splitlines()[-1]
    lines = table(folder)
    runs = lines[lines["metric"] == "finished"].set_index("row")
    assert dict(runs["status"]) == {
        "refused": "failed",
        "unknown": "failed",
        "diverged": "diverged",
        "killed": "killed",
        "sagan": "ok",
    }
    assert dict(runs["value"]) == dict(runs["status"] == "ok")
    assert "Received: 7" in runs["reason"]["refused"]
    assert "no_such_flag" in runs["reason"]["unknown"]
    assert "expected finite" in runs["reason"]["diverged"]
    assert runs["reason"]["killed"] == "by SIGKILL"
    page = (folder / "report" / "report.html").read_text()
    for row in ("refused", "unknown", "diverged", "killed"):
        assert f"{row} seed 0" in out
        assert row in page
    assert len(lines.query("row == 'sagan' and metric == 'fd64'")) == 2


def writing_to(path):
    """Processes whose standard output is this file."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.path.samefile(f"/proc/{pid}/fd/1", path):
                found.append(int(pid))
    return found


def refusal(*changes):
    result = subprocess.run(
        [forks.executable(), "-m", "benchmarks.compare", *changes],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = result.stderr.splitlines()
    return result.returncode, line


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (["--reference=other"], "--reference must be one of the rows sagan. Received: other"),
        (["--minutes=1"], "expected one budget: --steps, --minutes or --images"),
        (["--row=sagan"], "expected one --row for each name. Received: sagan, sagan"),
        (["--row='sagan"], "--row must be MODEL or NAME=MODEL FLAGS"),
        (["--seeds=0,00"], "--seeds must be distinct. Received: 0,0"),
        (["--seeds=a"], "--seeds must be whole numbers"),
        (["--seeds=2147483648"], "--seeds must be whole numbers of 0 to 2147483647"),
        (["--devices=0,cuda"], "--devices must be whole numbers"),
        (["--devices=1,1"], "--devices must be distinct"),
        (["--metrics=fd64,fdi64"], "expected a metric of coherence, fd, fid, intra_fd"),
        (["--extractor=inception:missing.pb"], "a file that does not exist. Received: missing.pb"),
        (["--suite=a/b"], "--suite must be a plain name. Received: a/b"),
    ],
)
def test_an_impossible_suite_is_refused_in_one_line(tmp_path, changes, part):
    code, line = refusal(*flags(tmp_path / "x", ["sagan"]), *changes)
    assert code == 2
    assert part in line


def test_a_report_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    changes = ["--report_only", f"--report_dir={tmp_path / 'file' / 'report'}"]
    code, line = refusal(*flags(tmp_path / "x", ["sagan"]), *changes)
    assert code == 1
    assert "report cannot be written" in line


def suite_of(folder, row, extractor="classifier"):
    values = {
        **{"suite": "tiny", "title": "", "row": [row], "common": [], "dataset": "digits"},
        **{"seeds": [0], "steps": 20, "minutes": None, "images": None, "score_every": 10},
        **{"num_samples": 64, "extractor": extractor, "metrics": ["fd64"], "threshold": None},
        **{"reference": "row", "data_dir": "data", "runs_dir": str(folder / "runs")},
    }
    return Suite(**values, report_dir=str(folder / "report"))


@pytest.fixture
def finished(tmp_path):
    """A run as it is after its end, but for checkpoints and records; and its flag file."""
    file = tmp_path / "own.flags"
    file.write_text("--image_size=16\n--g_lr=1e-3\n")
    suite = suite_of(tmp_path, f"row={file}")
    run = suite.make_run(suite.rows()[0], 0)
    run.path.mkdir(parents=True)
    config = dataclasses.replace(run.config(), num_classes=10, replicas=1)
    RunDirectory(run.path).write_config(config)
    outcome = {"status": "ok", "reason": "", "commands": runner.command_lines(run)}
    run.outcome.write_text(json.dumps(outcome))
    assert runner.is_finished(run)
    return run, file


def test_a_run_is_not_finished_if_its_flag_file_has_other_values(finished):
    run, file = finished
    file.write_text("--image_size=16\n--g_lr=2e-3\n")
    assert not runner.is_finished(run)


@pytest.mark.parametrize(
    ("scored", "wanted", "finished"),
    [
        ("classifier", "auto", True),  # The default of earlier versions, and that of today.
        ("rotation", "auto", False),
        ("classifier", "rotation", False),
        ("auto", "classifier", False),
        ("rotation", "classifier", False),
    ],
)
def test_runs_that_a_classifier_scored_are_finished_for_the_default(
    tmp_path, scored, wanted, finished
):
    row = "row=sagan --image_size=16 --g_attention=8 --d_attention=8"
    suite = suite_of(tmp_path, row, scored)
    run = suite.make_run(suite.rows()[0], 0)
    run.path.mkdir(parents=True)
    RunDirectory(run.path).write_config(dataclasses.replace(run.config(), num_classes=10))
    outcome = {"status": "ok", "reason": "", "commands": runner.command_lines(run)}
    run.outcome.write_text(json.dumps(outcome))
    assert runner.is_finished(run)
    assert runner.is_finished(dataclasses.replace(run, suite=suite_of(tmp_path, row, wanted))) == (
        finished
    )


def test_a_run_whose_programs_had_earlier_names_is_finished(tmp_path):
    suite = suite_of(tmp_path, "row=keras_naive --image_size=16 --g_attention=8 --d_attention=8")
    run = suite.make_run(suite.rows()[0], 0)
    run.path.mkdir(parents=True)
    RunDirectory(run.path).write_config(dataclasses.replace(run.config(), num_classes=10))
    train, score = runner.command_lines(run)
    assert "python -m benchmarks.train_naive " in train
    earlier = [
        train.replace("benchmarks.train_naive", "benchmarks.keras_naive_run"),
        score.replace("benchmarks.evaluate_naive", "benchmarks.keras_naive_evaluate"),
    ]
    for commands, finished in ((earlier, True), ([train, f"{score} --seed=1"], False)):
        outcome = {"status": "ok", "reason": "", "commands": commands}
        run.outcome.write_text(json.dumps(outcome))
        assert runner.is_finished(run) == finished


def test_a_run_that_was_deleted_is_neither_finished_nor_whole(finished):
    run, _ = finished
    assert collect.read_outcome(run)["status"] == "ok"
    shutil.rmtree(run.path)
    assert not runner.is_finished(run)
    assert collect.read_outcome(run)["status"] == "missing"


@pytest.mark.parametrize("flag", ["seed=1", "dataset=symmetry", "total_steps=5"])
def test_a_row_cannot_set_what_the_suite_sets(tmp_path, flag):
    suite = suite_of(tmp_path, f"row=sagan --image_size=16 --{flag}")
    with pytest.raises(UsageError, match=f"Received: --{flag.partition('=')[0]}$"):
        suite.make_run(suite.rows()[0], 0).config()


def test_samples_of_an_earlier_report_go(finished):
    run, _ = finished
    folder = run.path / "report_samples"
    folder.mkdir()
    (folder / "row.png").touch()
    collect.write_samples(run.suite, [run], folder)
    assert not list(folder.iterdir())


def test_a_run_is_not_started_while_its_trainer_still_ends(finished):
    run, _ = finished
    with RunDirectory(run.path).lock():
        assert not runner.is_free(run)
    assert runner.is_free(run)


def test_a_comparison_that_runs_is_not_started_twice(tmp_path):
    with RunDirectory(tmp_path / "x" / "runs").lock():
        code, line = refusal(*flags(tmp_path / "x", ["sagan"]))
    assert code == 1
    assert "is in use" in line
