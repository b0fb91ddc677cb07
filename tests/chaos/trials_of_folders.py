"""Trials of names, folders, file systems, checkpoints and what other versions have written."""

import json
import shutil
import signal
import subprocess

from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from user import (
    DATA,
    ENDLESS,
    ROOT,
    SIMPLE,
    TOP,
    copy,
    digest,
    draw_photos,
    process,
    refuse,
    run,
    start,
    stop,
    succeed,
    train,
    trained,
    wait_for,
)


def names_that_tensorflow_reads_as_patterns(place):
    for name in ("lr[1e-4]", "a*{b}?$HOME", "new\nline"):
        given = f"--run_dir={place / name / name}"
        train(place / name / name)
        succeed("sample", given, f"--output={place / name}/a.png")
        succeed("export", given, f"--export_dir={place / name}/e", "--format=keras")
    refuse("must have neither [ nor", "export", given, f"--export_dir={place}/[1]")
    assert not (place / "[1]").exists()
    return "3 names and parents trained, sampled, exported; a SavedModel in [1] is refused"


def home_folder(place):
    (place / "home").mkdir()
    options = {"variables": {"HOME": str(place / "home")}, "cwd": place}
    succeed("train", "--run_dir=~/a", "--data_dir=~/data", *SIMPLE, "--total_steps=1", **options)
    succeed("sample", "--run_dir=~/a", "--output=~/a.png", **options)
    succeed("export", "--run_dir=~/a", "--export_dir=~/e", **options)
    succeed("prepare", "--data_dir=~/data", *SIMPLE, "--preview=~/b.png", **options)
    found = sorted(path.name for path in (place / "home").glob("[!.]*"))
    assert [path.name for path in place.iterdir()] == ["home"]
    assert found == ["a", "a.png", "b.png", "data", "e"], found
    return "run, data, grid, preview and export are in the home folder"


def moved_and_renamed_run(place):
    folder, _ = copy(place)
    shutil.rmtree(folder / "my photos")
    folder.rename(place / "moved")
    (place / "third").mkdir()
    given, options = "--run_dir=../moved/runs/run", {"cwd": place / "third"}
    succeed("train", given, "--total_steps=3", **options)
    succeed("sample", given, "--output=a.html", **options)
    succeed("evaluate", given, "--num_samples=16", **options)
    succeed("explore", given, **options)
    succeed("export", given, "--export_dir=e", **options)
    expected, found = digest(trained() / "runs/straight"), digest(place / "moved/runs/run")
    assert found == expected, "the digest differs from the unmoved run's"
    return f"resumed, sampled, scored, explored, exported elsewhere; digest {found[:8]} as unmoved"


def moved_run_without_its_data(place):
    given = [f"--dataset=folder:{draw_photos(place / 'photos')}", f"--data_dir={place}/data"]
    train(place / "run", *given, "--num_classes=-1")
    for name in ("photos", "data"):
        shutil.rmtree(place / name)
    (place / "run").rename(place / "alone")
    for command in ("evaluate", "train"):
        refuse("looked for the run's prepared data in ", command, f"--run_dir={place}/alone")
    return "evaluate and train end in one line that says where they looked"


def no_locks_and_no_hard_links(place):
    for code in ("ENOLCK", "ENOSYS"):
        refusal = f"def refuse(*_): raise OSError(errno.{code}, 'not here')"
        lines = ["import errno, fcntl, os", refusal, "fcntl.flock = fcntl.lockf = os.link = refuse"]
        (place / "sitecustomize.py").write_text("\n".join(lines))
        options = {"variables": {"PYTHONPATH": f"{place}:{ROOT}"}}
        given = f"--run_dir={place / code}"
        first = start("train", given, DATA, *SIMPLE, *ENDLESS, **options)
        wait_for(place / code / "checkpoints" / "checkpoint", first)
        _, _, lines = run("train", given, **options)
        assert f"in use by another trainer: process {first.pid} on " in lines[-1], lines
        stop(first, signal.SIGKILL)
        succeed("train", given, "--total_minutes=0.0001", **options)
        data = place / f"data-{code}"
        shutil.copytree(TOP / "data" / "prepared", data / "prepared")
        succeed("evaluate", given, f"--data_dir={data}", "--num_samples=16", **options)
        assert list((data / "classifiers").glob("*.npz")), "the classifier was thrown away"
    return "a second trainer is told of the first, a kill is taken over, the classifier is kept"


def read_only_folders(place):
    folder, run_dir = copy(place)
    subprocess.run(["chmod", "-R", "a-w", folder], check=True)
    options, given = {"preexec_fn": process.without_privileges}, f"--run_dir={run_dir}"
    code, out, lines = run("evaluate", given, "--num_samples=16", **options)
    assert (code, "fd16/" in out) == (1, True), lines
    assert "are not recorded: " in lines[-1], lines
    succeed("sample", given, f"--output={place}/a.png", **options)
    refuse("cannot be written", "train", given, "--total_steps=3", **options)
    refuse("cannot be written", "export", given, f"--export_dir={folder}/e", **options)
    return "scores are shown, and that they are not recorded; train and export are refused"


def unreadable_and_overlong_paths(place):
    long, folder = "x" * 300, draw_photos(place / "photos")
    for command, flag in (
        ("prepare", f"--dataset=folder:{long}"),
        ("prepare", f"--data_dir={long}"),
        ("train", f"--run_dir={place}/{long}"),
        ("sample", f"--output={place}/{long}"),
        ("export", f"--export_dir={place}/{long}"),
    ):
        _, run_dir = trained(), f"--run_dir={trained()}/runs/run"
        more = {"train": [*SIMPLE, DATA], "prepare": [*SIMPLE]}.get(command, [run_dir])
        refuse("File name too long", command, *more, flag)
    (folder / "ant").chmod(0)
    given = [f"--dataset=folder:{folder}", f"--data_dir={place}"]
    refuse("Permission denied", "prepare", *given, preexec_fn=process.without_privileges)
    return "5 names of 300 characters and a folder without permission: one line each"


def tensorboard_after_a_kill(place):
    given = f"--run_dir={place}/run", "--steps_per_call=1", "--checkpoint_every=50"
    killed = start("train", DATA, *SIMPLE, *ENDLESS, *given)
    wait_for(place / "run" / "checkpoints" / "step-50.index", killed)
    stop(killed, signal.SIGKILL)
    last = len((place / "run/train.jsonl").read_text().splitlines())
    resumed = last // 50 * 50
    succeed("train", given[0], f"--total_steps={resumed + 50}")
    shown = EventAccumulator(str(place / "run" / "tensorboard"), {"tensors": 0})
    shown.Reload()
    steps = [each.step for each in shown.Tensors("d_loss")]
    assert steps == list(range(1, resumed + 51)), steps
    return f"killed at step {last}, resumed at {resumed}: TensorBoard shows each step once"


def damaged_newest_checkpoint(place):
    _, run_dir = copy(place)
    (data,) = (run_dir / "checkpoints").glob("step-2.data*")
    data.write_bytes(data.read_bytes()[:-1])
    given = f"--run_dir={run_dir}"
    for command, *more in (
        ("sample", f"--output={place}/a.png"),
        ("export", f"--export_dir={place}/e"),
        ("explore", f"--output={place}/a.html"),
        ("evaluate", "--num_samples=16"),
    ):
        assert "; using " in succeed(command, given, *more)
    for command, *more in (
        ("evaluate", "--num_samples=16", "--checkpoint=all"),
        ("explore", f"--output={place}/a.html", "--checkpoint=all"),
    ):
        code, out, lines = run(command, given, *more)
        assert (code, "step 1" in out) == (1, True), lines
        assert any("step-2 cannot be read: " in line for line in lines), lines
    assert "; resuming from " in succeed("train", given, "--total_steps=3")
    return "5 commands use the one before and say so; all of 2 commands scores or shows the rest"


def images_that_have_changed(place):
    photos, run_dir = draw_photos(place / "photos"), place / "run"
    given = [f"--dataset=folder:{photos}", f"--data_dir={place}/data", "--num_classes=-1"]
    train(run_dir, *given)
    before = json.loads((run_dir / "environment.json").read_text())["data"]["sha256"]
    shutil.copy(photos / "ant/0.png", photos / "ant/new.png")
    succeed("prepare", *SIMPLE, *given)
    for command, *more in (
        ("evaluate", "--num_samples=16"),
        ("sample", f"--output={place}/a.html"),
        ("train", "--total_steps=2"),
    ):
        said = succeed(command, f"--run_dir={run_dir}", *more)
        assert "has changed since this run began" in said, said
    row = json.loads((run_dir / "metrics.jsonl").read_text().splitlines()[-1])
    after = json.loads((run_dir / "environment.json").read_text())["data"]["sha256"]
    assert before == after == row["data_sha256"]
    return "the run is scored against, sampled with and trained on the images it began with"


def runs_and_reports_of_earlier_versions(place):
    fixtures = sorted((ROOT / "tests/runs/fixtures").iterdir())
    for fixture in fixtures:
        run_dir = shutil.copytree(fixture, place / fixture.name)
        given = f"--run_dir={run_dir}"
        succeed("sample", given, f"--output={place}/a.png")
        succeed("explore", given, f"--output={place}/a.html")
        succeed("export", given, f"--export_dir={place / fixture.name}-export")
        card = (place / f"{fixture.name}-export" / "20" / "README.md").read_text("utf-8")
        assert "| fd100/classifier-" in card, "the scores are not in the model card"
        succeed("train", given, DATA, "--total_steps=21")
    report = shutil.copytree(ROOT / "reports" / "digits_cpu", place / "report")
    succeed("benchmarks.render", f"--report_dir={report}")
    return f"runs of {', '.join(path.name for path in fixtures)} are read by 4 commands; a report"
