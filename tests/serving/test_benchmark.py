"""The benchmark of an exported version: real calls, figures with known answers, its report."""

import json
import os
import pathlib
import subprocess

import forks
import pytest
import tensorflow as tf
import tiny

from benchmarks.measure.serving_worker import measure_serving, time_calls
from benchmarks.report.report_files import render_report
from benchmarks.serving import summarize_serving

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "digits"
    tiny.Tiny().save(path / "9")
    tiny.Tiny(channels=1, has_classes=False).save(path / "10")
    (path / "11.tmp").mkdir()
    return path


def run(*flags):
    """The command in a process of its own: exit code, standard output, standard error."""
    result = subprocess.run(
        [forks.executable(), "-m", "benchmarks.serving", *flags],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    assert "Traceback" not in result.stderr
    return result.returncode, result.stdout, result.stderr


@pytest.fixture(scope="module")
def rows(base):
    more = ["--signature=png", "--calls=3", "--warmup_calls=1", "--rounds=1", "--format=json"]
    code, out, err = run(f"--export_dir={base}", "--batch_sizes=1,4", *more)
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


def test_each_setting_is_a_row_with_all_that_it_comes_from(rows, base):
    assert [row["batch_size"] for row in rows] == [1, 4]
    for row in rows:
        same = {"benchmark": "serving", "signature": "png", "model": "digits", "version": 10}
        same |= {"image_shape": "4x4x1", "calls": 3, "warmup_calls": 1, "rounds": 1}
        same |= {"status": "ok", "timed_calls": 3, "device": "CPU"}
        assert {name: row[name] for name in same} == same
        assert set(row) >= {"command", "commit", "cpus", "machine", "versions"}
        # Of the folder only its name, but for the command as it was given.
        assert str(base) not in json.dumps(row | {"command": ""})
        assert 0 < row["ms_p50"] <= row["ms_p95"] <= row["ms_p99"]
        # Three calls take no longer than thrice the slowest.
        assert row["images_per_s"] > 1000 * row["batch_size"] / row["ms_p99"] * 0.99
    assert rows[0]["ratio"] == 1


def test_rows_make_a_report(rows, tmp_path):
    failed = {"status": "failed", "error": "exit code -9: no output"}
    names = ("benchmark", "signature", "model", "version", "image_shape", "calls", "warmup_calls")
    names += ("rounds", "commit", "machine", "cpus", "versions")
    failed |= {name: rows[0][name] for name in names} | {"batch_size": 32}
    lines = "\n".join(map(json.dumps, [*rows, failed])) + "\n"
    (tmp_path / "results.jsonl").write_text(lines)
    render_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# Latency of an exported generator")
    assert "1 of 3 rows have no figures" in text
    assert "image_shape 4x4x1, calls 3" in text
    assert "| png | 1 | ok | 1" in text
    assert "call, 99th percentile, ms" in text
    assert [path.name for path in (tmp_path / "plots").iterdir()] == [
        "serving_model_digits_version_10.png"
    ]


@pytest.mark.parametrize("version", ["9", "10"])
def test_a_measurement_is_of_calls_of_the_whole_batch(base, version):
    answer = measure_serving(str(base / version), "serving_default", 5, calls=4, warmup_calls=2)
    assert len(answer["call_s"]) == 4
    assert answer["images_per_s"] == pytest.approx(20 / sum(answer["call_s"]))
    assert answer["image_shape"] == {"9": "4x4x3", "10": "4x4x1"}[version]
    with pytest.raises(ValueError, match="no signature other"):
        measure_serving(str(base / version), "other", 1, 1, 0)


def test_every_call_has_seeds_of_its_own_and_a_label_that_every_network_has(base):
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(base / "9"))
        signature = meta.signature_def["serving_default"]
        asked = []

        class Recording:
            def run(self, fetches, feeds):
                asked.append({name: feeds[info.name] for name, info in signature.inputs.items()})
                outputs = session.run(fetches, feeds)
                return {name: value[: 5 - len(asked)] for name, value in outputs.items()}

        with pytest.raises(ValueError, match="images has 2 rows, not 3"):
            time_calls(Recording(), signature, 3, 4)
    assert [call["seeds"].tolist() for call in asked] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert not any(call["labels"].any() for call in asked)


def measurement(rate, call_s):
    figures = {"call_s": call_s, "images_per_s": rate, "load_s": rate / 100, "device": "CPU"}
    return figures | {"image_shape": "4x4x1", "host_peak_mib": rate, "device_peak_mib": None}


def test_summary_with_known_answers():
    measurements = [
        measurement(10.0, [0.001 * k for k in range(51)]),
        measurement(40.0, [0.001 * k for k in range(51, 101)]),
    ]
    measurements.append(measurement(20.0, []))
    row = summarize_serving(
        measurements, [measurement(10.0, []), measurement(10.0, []), measurement(5.0, [])]
    )
    assert [row[f"ms_p{rank}"] for rank in (50, 95, 99)] == [50, 95, 99]
    assert (row["timed_calls"], row["images_per_s"], row["load_s"]) == (101, 20, 0.2)
    assert (row["ratio"], row["ratio_least_and_most"]) == (4, [1, 4])
    assert row["images_per_s_by_round"] == [10, 40, 20]
    assert row["host_peak_mib"] == 40
    failed = [measurement(1.0, [1.0]), {"error": "no"}]
    assert summarize_serving(failed, failed) == {"status": "failed", "error": "no"}


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ([], "--export_dir is required"),
        (["--export_dir={}/none"], "expected a folder with VERSION/saved_model.pb"),
        (["--export_dir={}/9"], "expected a folder with VERSION/saved_model.pb"),
        (["--export_dir={}", "--version=3"], "version=3"),
        (["--export_dir={}", "--batch_sizes=0"], "--batch_sizes must be whole numbers of 1 to"),
    ],
)
def test_an_impossible_request_is_one_line(base, flags, part):
    code, out, err = run(*(flag.format(base) for flag in flags))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert part in err
