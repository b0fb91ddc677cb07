"""Scores as a user asks for them: tables, records, JSON, and one line for each mistake."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from process import (
    FEW_STEPS,
    SIMPLE,
    assert_one_line,
    environment,
    free_ports,
    rows,
    run,
    start,
    train,
)

RNG = np.random.default_rng(0)


def evaluate(*flags, **options):
    code, out, err = run("evaluate", *flags, **options)
    assert code == 0, err
    return out


@pytest.fixture(scope="module")
def scored(tmp_path_factory, classified):
    """A run whose checkpoints were chosen by a classifier, and what evaluating it printed."""
    run_dir = tmp_path_factory.mktemp("runs") / "scored"
    flags = [*SIMPLE, "--total_steps=20", "--eval_every=5", "--keep_checkpoints=2"]
    train(run_dir, classified, *flags)
    return run_dir, evaluate(f"--run_dir={run_dir}", "--num_samples=300")


def test_table_has_every_metric_of_the_classifier(scored):
    run_dir, out = scored
    head, columns, *lines = out.splitlines()
    assert head == f"step 20 of {run_dir}"
    assert columns.split() == ["metric", "value", "real", "images", "TF-GAN", "differs", "by"]
    names = [line.partition("/")[0] for line in lines[:-1]]
    assert names == [
        "label_accuracy300",
        "fd300",
        "is300",
        "kd300",
        "precision300",
        "recall300",
        "intra_fd300",
    ]
    name = lines[0].split()[0].partition("/")[2]
    assert lines[-1].startswith(f"{name}: 9")
    assert "% accuracy on held-out real images" in lines[-1]


def test_rows_hold_value_cross_check_and_conditions(scored):
    run_dir, _ = scored
    found = {row["metric"].partition("300/")[0]: row for row in rows(run_dir / "metrics.jsonl")[:7]}
    for name in ("fd", "is", "kd"):
        assert found[name]["tfgan"] == pytest.approx(found[name]["value"], rel=1e-6)
        assert found[name]["relative_difference"] < 1e-6
    assert len(found["intra_fd"]["classes"]) == 10
    assert found["is"]["value"] >= 1
    assert found["precision"]["n_real"] == 300
    row = found["fd"]
    assert (row["n_real"], row["n_fake"], row["step"], row["seed"]) == (1797, 300, 20, 0)
    assert (row["weights"], row["batch_norm"]) == ("ema", "moving")
    assert row["extractor"]["test_accuracy"] >= 0.97
    assert row["extractor"]["sha256"] == row["extractor_sha256"]
    assert row["protocol"]["name"] == "native"
    assert row["dataset"]["count"] == 1797
    assert set(row) >= {"time", "command", "commit", "packages", "devices", "checkpoint"}


def test_scores_are_in_tensorboard(scored):
    run_dir, _ = scored
    values = {}
    for path in (run_dir / "tensorboard").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars" and event.step == 20:
                    values[value.tag] = float(tf.make_ndarray(value.tensor))
    for row in rows(run_dir / "metrics.jsonl")[:7]:
        assert values[row["metric"]] == pytest.approx(row["value"], rel=1e-5)


def test_the_same_command_gives_the_same_numbers(scored):
    run_dir, out = scored
    assert evaluate(f"--run_dir={run_dir}", "--num_samples=300") == out


@pytest.mark.slow
def test_replicas_and_batches_do_not_change_them(scored):
    run_dir, out = scored
    more = ["--num_samples=300", "--replicas=2", "--batch_size=50", f"--compare={run_dir}"]
    lines = [line.split() for line in evaluate(f"--run_dir={run_dir}", *more).splitlines()[2:-1]]
    expected = [line.split() for line in out.splitlines()[2:-1]]
    for line, before in zip(lines, expected, strict=True):
        assert line[:2] == before[:2]
        assert line[-1] == before[1]


def test_classifier_chooses_the_best_checkpoint(scored):
    run_dir, _ = scored
    found = rows(run_dir / "scores.jsonl")
    assert [row["step"] for row in found] == [5, 10, 15, 20]
    (name,) = set(found[0]) - {"step", "diversity"}
    assert name.startswith("fd1k/classifier-")
    best = min(found, key=lambda row: row[name])["step"]
    (index,) = (run_dir / "checkpoints" / "best").glob("step-*.index")
    assert index.stem == f"step-{best}"


@pytest.mark.slow
def test_curve_over_all_checkpoints(scored):
    run_dir, _ = scored
    # In so few steps, the averaged weights hardly move.
    more = ["--num_samples=50", "--checkpoint=all", "--noema", "--json"]
    out = evaluate(f"--run_dir={run_dir}", *more)
    values = json.loads(out)
    (index,) = (run_dir / "checkpoints" / "best").glob("step-*.index")
    steps = sorted({10, 20, int(index.stem[5:])})
    assert [int(step) for step in values] == steps
    assert len({json.dumps(scores) for scores in values.values()}) == len(steps)
    more = ["--num_samples=50", "--checkpoint=20,best,10", "--noema", "--bn=batch"]
    head, columns, *_ = evaluate(f"--run_dir={run_dir}", *more).splitlines()
    assert head == f"curve of {run_dir}"
    assert columns.split() == ["metric", *(word for step in steps for word in ("step", str(step)))]


def test_missing_inception_is_unavailable_and_the_rest_goes_on(scored, tmp_path):
    run_dir, _ = scored
    extractors = f"--extractor=classifier,inception:{tmp_path / 'none.tgz'}"
    out = evaluate(f"--run_dir={run_dir}", "--num_samples=50", extractors)
    assert "fd50/classifier-" in out
    line = next(line for line in out.splitlines() if line.startswith("fid50/tfgan"))
    assert line.split()[1] == "unavailable"
    assert "download http://download.tensorflow.org/models/image/imagenet/" in out
    last = rows(run_dir / "metrics.jsonl")[-1]
    assert last["value"] is None
    assert "no Inception network at" in last["unavailable"]


@pytest.mark.slow
def test_statistics_are_written_and_compared_with(scored, tmp_path):
    run_dir, out = scored
    path = tmp_path / "new" / "real.npz"
    more = [f"--run_dir={run_dir}", "--num_samples=300"]
    evaluate(*more, f"--save_statistics={path}")
    printed = evaluate(*more, f"--real_statistics={path}").splitlines()
    expected = next(line for line in out.splitlines() if line.startswith("fd300/"))
    again = next(line for line in printed if line.startswith("fd300/"))
    assert again.split()[:3] == expected.split()[:3]
    assert not any(line.startswith("kd") for line in printed)
    with np.load(path) as file:
        arrays = {name: file[name] for name in ("mu", "sigma")}
    np.savez(path, **arrays)
    code, _, err = run("evaluate", *more, f"--real_statistics={path}")
    assert code == 0
    assert "extractor unverified" in err
    np.savez(path, **arrays, meta=json.dumps({"extractor": "other"}))
    result = run("evaluate", *more, f"--real_statistics={path}")
    assert_one_line(result, 2, "expected statistics of this extractor", "Received: other")


@pytest.mark.slow
def test_rows_with_earlier_names_are_compared(scored, tmp_path):
    run_dir, out = scored
    earlier = {
        "fd300": "fcd300",
        "is300": "cs300",
        "kd300": "kcd300",
        "intra_fd300": "intra_fcd300",
    }
    lines = []
    for row in rows(run_dir / "metrics.jsonl")[:7]:
        name, count, suffix = row["metric"].partition("300/")
        metric = earlier.get(name, name) + count + suffix
        lines.append(json.dumps(row | {"metric": metric}) + "\n")
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    compared = evaluate(f"--run_dir={run_dir}", "--num_samples=300", f"--compare={tmp_path}")
    values = [line.split()[1] for line in out.splitlines()[2:-1]]
    assert [line.split()[-1] for line in compared.splitlines()[2:-1]] == values


@pytest.mark.slow
def test_scores_of_other_conditions_refuse_to_stand_beside(scored, tmp_path):
    run_dir, _ = scored
    row = rows(run_dir / "metrics.jsonl")[1]
    row["n_real"] = 99
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    flags = [f"--run_dir={run_dir}", "--num_samples=300", f"--compare={tmp_path}"]
    for more in ([], ["--json"]):
        code, out, err = run("evaluate", *flags, *more)
        assert (code, out) == (2, "")
        assert "n_real=1797 and 99" in err.splitlines()[-1]
        assert "Traceback" not in err


@pytest.mark.slow
def test_weights_and_statistics_are_those_of_the_flags(scored):
    run_dir, _ = scored
    flags = [f"--run_dir={run_dir}", "--num_samples=300", "--checkpoint=best"]
    evaluate(*flags, "--noema", "--bn=standing")
    row = rows(run_dir / "metrics.jsonl")[-6]
    plain = rows(run_dir / "metrics.jsonl")[1]
    assert (row["metric"], row["weights"], row["batch_norm"]) == (
        plain["metric"],
        "raw",
        "standing",
    )
    assert row["checkpoint"].startswith("checkpoints/best/step-")
    assert row["value"] != plain["value"]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (
            ["--extractor=inception"],
            "--extractor must be auto, classifier, rotation or inception:PATH",
        ),
        (["--checkpoint=last"], "--checkpoint must be newest, best, all, or steps"),
        (["--checkpoint=7"], "expected the step of a checkpoint, one of"),
        (["--extractor="], "--extractor must name different networks"),
        (["--extractor=classifier,classifier"], "--extractor must name different networks"),
        (
            ["--real_statistics=a.npz", "--save_statistics=b.npz"],
            "--save_statistics writes the statistics of one extractor",
        ),
        (
            ["--real_features=a.npz", "--fake_features=b.npz"],
            "feature files are scored as they are",
        ),
        (
            ["--checkpoint=all", "--compare=/nowhere"],
            "--compare needs a single checkpoint",
        ),
        (["--protocol=mine"], "protocol"),
        (["--bn=none"], "bn"),
        (["--num_samples=0"], "num_samples"),
        (["--batch_size=5", "--replicas=2"], "Received: 5 images for 2 replicas"),
        (["--compare=/nowhere"], "expected scores in /nowhere"),
        (["--real_features=a.npz"], "--real_features and --fake_features must be given together"),
        (["--real_statistics=/none.npz"], "--real_statistics must be a readable .npz file"),
    ],
)
def test_evaluation_says_what_is_wrong(scored, given, part):
    run_dir, _ = scored
    assert_one_line(run("evaluate", f"--run_dir={run_dir}", *given), 2, part)


def test_records_that_cannot_be_written_are_one_line(scored, tmp_path):
    run_dir, out = scored
    copy = shutil.copytree(run_dir, tmp_path / "run")
    (copy / "metrics.jsonl").unlink()
    (copy / "metrics.jsonl").mkdir()
    code, again, err = run("evaluate", f"--run_dir={copy}", "--num_samples=300")
    assert code == 1
    assert again.splitlines()[1:] == out.splitlines()[1:]
    (line,) = [line for line in err.splitlines() if "warning" in line]
    reason = f"[Errno 21] Is a directory: '{copy}/metrics.jsonl'"
    assert line == f"warning: scores of step 20 of {copy} are not recorded: {reason}"
    assert "Traceback" not in err


@pytest.mark.slow
def test_damaged_checkpoints_are_named_and_the_others_scored(scored, tmp_path):
    copy = shutil.copytree(scored[0], tmp_path / "run")
    (copy / "checkpoints" / "step-20.index").write_text("")
    shutil.rmtree(copy / "checkpoints" / "best")
    given = f"--run_dir={copy}", "--num_samples=50", "--json"
    code, out, err = run("evaluate", *given, "--checkpoint=all")
    assert (code, [*json.loads(out)]) == (1, ["10"])
    named = [line for line in err.splitlines() if "step-20 cannot be read: " in line]
    assert [line.rpartition("; ")[2] for line in named] == ["leaving it out"]
    code, newest, err = run("evaluate", *given)
    assert (code, newest) == (0, out)
    assert f"; using {copy}/checkpoints/step-10" in err
    assert_one_line(run("evaluate", *given, "--checkpoint=20"), 1, "step-20 cannot be read: ")


@pytest.mark.slow
def test_two_processes_leave_out_the_same_and_share_what_is_not_written(scored, tmp_path):
    copy = shutil.copytree(scored[0], tmp_path / "run")
    data_dir = pathlib.Path(json.loads((copy / "config.json").read_text())["data_dir"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "prepared").symlink_to(data_dir / "prepared")
    for name in ("classifiers", "rotations", "features"):
        (tmp_path / "data" / name).write_text("")
    (copy / "checkpoints" / "step-20.index").write_text("")
    given = [f"--run_dir={copy}", f"--data_dir={tmp_path / 'data'}", "--num_samples=50", "--json"]
    given.append("--extractor=classifier,rotation")
    alone = json.loads(evaluate(*given, "--replicas=2", first=FEW_STEPS))
    given.append("--strategy=multi_worker")
    ports = free_ports(2)
    processes = [
        start("evaluate", *given, env=environment(ports, i), first=FEW_STEPS) for i in range(2)
    ]
    results = [(*process.communicate(timeout=600), process.returncode) for process in processes]
    assert [code for _, _, code in results] == [0, 0], results
    assert [out != "" for out, _, _ in results] == [True, False]
    together = json.loads(results[0][0])
    assert together.keys() == alone.keys() == {"10"}
    for name, value in alone["10"].items():
        assert together["10"][name] == pytest.approx(value, rel=1e-3)
    notes = {"; using ": 1, "the classifier cannot be kept": 1, "features cannot be kept": 2}
    for part, count in (notes | {"the rotation network cannot be kept": 1}).items():
        assert [err.count(part) for _, err, _ in results] == [count, 0]


@pytest.fixture
def files(tmp_path):
    paths = []
    for name, scale in (("a", 1.0), ("b", 1.2)):
        features = RNG.normal(size=(400, 16)) * scale
        logits, labels = RNG.normal(size=(400, 10)), RNG.integers(0, 4, 400)
        paths.append(tmp_path / f"{name}.npz")
        np.savez(paths[-1], features=features, logits=logits, labels=labels)
    return paths


def file_flags(files):
    return [f"--real_features={files[0]}", f"--fake_features={files[1]}"]


def test_feature_files_are_scored_as_one_json_object(files):
    values = json.loads(evaluate(*file_flags(files), "--json"))
    assert {"fid", "kid", "is", "precision", "recall", "intra_fid"} <= set(values)
    real, fake = (np.load(path)["features"] for path in files)
    difference = real.mean(axis=0) - fake.mean(axis=0)
    covariances = [np.cov(part, rowvar=False) for part in (real, fake)]
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real).sum()
    expected = difference @ difference + np.trace(sum(covariances)) - 2 * roots
    assert values["fid"] == pytest.approx(expected, rel=1e-9)
    assert values["details"]["fid"]["tfgan"] == pytest.approx(expected, rel=1e-9)
    assert 0 < values["precision"] < 1
    np.savez(files[1], features=fake)
    without = json.loads(evaluate(*file_flags(files), "--json"))
    assert without["is"] is None
    assert without["fid"] == values["fid"]


def test_feature_files_that_do_not_fit_are_one_line(files):
    features = np.load(files[0])["features"]
    for arrays, part in (
        ({"features": np.where(features > 3, np.nan, features)}, "finite features of --fake"),
        ({"features": features[:, :5]}, r"(400, 16) and (400, 5)"),
        ({"features": features[:1]}, "at least 2 features of --fake_features. Received: 1"),
        ({"features": features[:3]}, "at least 4 fake features. Received: 3"),
        ({"features": np.array([{}], object)}, "--fake_features must be a readable .npz"),
    ):
        np.savez(files[1], **arrays)
        assert_one_line(run("evaluate", *file_flags(files), "--json"), 2, part)
