"""Exports from the command line: equal to samples, beside a training, and one line for mistakes."""

import os
import pathlib
import shutil
import subprocess
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from process import SIMPLE, assert_one_line, flags, is_notice, run, start

WAITING = "waiting: another process exports here"


def export(run_dir, export_dir, *more, **options):
    place = [f"--run_dir={run_dir}", f"--export_dir={export_dir}"]
    return run("export", *place, *more, **options)


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """The run, and what its export gave: the folder and the output."""
    folder = tmp_path_factory.mktemp("export") / "new" / "digits"
    code, out, err = export(finished[0], folder)
    assert code == 0, err
    return finished[0], folder, out


def test_export_says_where_it_is(exported):
    _, folder, out = exported
    assert out == f"averaged weights of step 20: {folder / '20'}\n"
    files = {path.name for path in folder.iterdir()}
    assert files == {".lock", "20", "batching.config", "docker-compose.yml", "models.config"}
    names = {str(path.relative_to(folder / "20")) for path in (folder / "20").rglob("*.*")}
    assert {"README.md", "saved_model.pb", "variables/variables.index"} <= names
    assert (folder / "20" / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


def test_images_are_those_of_sample(exported, tmp_path):
    run_dir, folder, _ = exported
    labels, seeds, picture = [3, 7], [0, 1, 2**31 - 1], tmp_path / "grid.png"
    given = [f"--labels={','.join(map(str, labels))}", f"--seeds={','.join(map(str, seeds))}"]
    code, _, err = run("sample", f"--run_dir={run_dir}", f"--output={picture}", *given)
    assert code == 0, err
    grid = np.asarray(Image.open(picture))[::4, ::4].astype(int)
    assert grid.shape == (2 * 17 - 1, 3 * 17 - 1)
    served = tf.saved_model.load(str(folder / "20")).signatures["serving_default"]
    images = served(
        labels=tf.constant(np.repeat(labels, 3), tf.int64),
        seeds=tf.constant(np.tile(seeds, 2), tf.int64),
    )["images"].numpy()
    for i, image in enumerate(images):
        row, column = divmod(i, 3)
        tile = grid[17 * row : 17 * row + 16, 17 * column : 17 * column + 16]
        assert np.abs(tile - image[..., 0]).max() <= 1


def test_version_that_exists_is_refused_and_another_is_not(exported):
    run_dir, folder, _ = exported
    before = [(path, path.stat().st_mtime_ns) for path in (folder / "20").rglob("*")]
    result = export(run_dir, folder)
    assert_one_line(
        result, 2, "does not exist yet; --version sets another", f"Received: {folder}/20"
    )
    assert [(path, path.stat().st_mtime_ns) for path in (folder / "20").rglob("*")] == before
    code, out, err = export(run_dir, folder, "--version=7", "--checkpoint=20", "--noema")
    assert code == 0, err
    assert out == f"weights as trained of step 20: {folder / '7'}\n"


@pytest.mark.slow
def test_two_at_once_make_one_version(exported, tmp_path):
    run_dir, _, _ = exported
    asked = [f"--run_dir={run_dir}", f"--export_dir={tmp_path}", "--checkpoint=best"]
    processes = [start("export", *asked) for _ in range(2)]
    results = [(p.wait(600), *p.communicate()) for p in processes]
    (winner, loser) = sorted(results)
    assert winner[0] == 0
    err = "".join(line for line in loser[2].splitlines(True) if line.strip() != WAITING)
    assert_one_line((*loser[:2], err), 2, "does not exist yet")
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ([], "--run_dir is required"),
        (["--run_dir=RUN"], "--export_dir is required"),
        (["--run_dir=RUN", "--export_dir=OUT", "--checkpoint=last"], "newest, best or a step"),
        (["--run_dir=RUN", "--export_dir=OUT", "--version=0"], "version"),
        (["--run_dir=RUN", "--export_dir=OUT", "--model=a/b"], "--model must consist of letters"),
        (["--run_dir=RUN", "--export_dir=OUT", "--model="], "--model must consist of letters"),
        (["--run_dir=RUN", "--export_dir=OUT", "--model=.."], "--model must consist of letters"),
        (["--run_dir=RUN", "--export_dir=OUT", "--format=onnx"], "format"),
        (["--run_dir=/none", "--export_dir=OUT"], "a run directory with config.json"),
        (["--run_dir=RUN", "--export_dir=OUT", "--checkpoint=7"], "one of [10, 20]. Received: "),
    ],
)
def test_export_says_what_is_wrong(finished, given, part, tmp_path):
    run_dir, _ = finished
    places = {"RUN": str(run_dir), "OUT": str(tmp_path / "out")}
    given = [flag.replace("RUN", places["RUN"]).replace("OUT", places["OUT"]) for flag in given]
    assert_one_line(run("export", *given), 2, part)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("broken", ["missing", "no data", "half"])
def test_checkpoint_that_cannot_be_read_is_one_line(finished, broken, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    (data,) = folder.glob("step-20.data*")
    if broken == "missing":
        shutil.rmtree(folder)
    elif broken == "no data":
        data.unlink()
    else:
        data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    given = [] if broken == "missing" else ["--checkpoint=20"]
    result = export(tmp_path / "run", tmp_path / "out", *given)
    part = "expected a checkpoint. Received: none" if broken == "missing" else "cannot be read: "
    assert_one_line(result, 1, part)
    assert not (tmp_path / "out").exists()


def test_place_that_cannot_be_written_is_named(finished, tmp_path):
    (tmp_path / "file").write_text("")
    result = export(finished[0], tmp_path / "file" / "out")
    assert_one_line(result, 1, "cannot be written: ", "Not a directory")


def is_refused(result, folder):
    """One line, and no version, and nothing that is left of one."""
    assert_one_line(result, 1, f"{folder}/20 cannot be written: ")
    assert not [path for path in folder.iterdir() if path.is_dir()]


@pytest.mark.skipif(os.geteuid() != 0, reason="to mount a file system one must be root")
@pytest.mark.parametrize("room", [0, 20, 60])
def test_full_disk_is_one_line(finished, room, tmp_path):
    """A disk of 1 MB with `room` KiB left: less than the settings, the graph, the whole."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        with (folder / "filling").open("wb") as file:
            file.write(bytes(1024 * (1024 - room)))
        is_refused(export(finished[0], folder), folder)
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 20_000])
def test_file_that_grows_too_large_is_one_line(finished, limit, tmp_path):
    """As a full disk, but without a mount: the settings or the graph do not fit."""
    first = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    is_refused(export(finished[0], tmp_path, first=first), tmp_path)


@pytest.mark.slow
def test_export_while_training_runs(tmp_path, data_dir):
    run_dir, out = tmp_path / "run", tmp_path / "out"
    often = [*SIMPLE, "--checkpoint_every=5", "--keep_checkpoints=1", "--log_every=1000"]
    trainer = start("train", *flags(run_dir, data_dir, *often, "--total_steps=100000"))
    try:
        deadline = time.monotonic() + 600
        while not (run_dir / "checkpoints" / "checkpoint").exists():
            assert trainer.poll() is None, trainer.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        results = [export(run_dir, out, f"--version={version}") for version in (1, 2)]
        assert trainer.poll() is None
    finally:
        trainer.kill()
        trainer.communicate()
    steps = []
    for code, said, err in results:
        assert code == 0, err
        steps.append(int(said.split("step ")[1].split(":")[0]))
    assert 0 < steps[0] < steps[1]
    for version in ("1", "2"):
        served = tf.saved_model.load(str(out / version)).signatures["serving_default"]
        one = tf.constant([1], tf.int64)
        assert served(labels=one, seeds=one)["images"].shape == (1, 16, 16, 1)


@pytest.mark.slow
def test_without_the_serving_package_there_is_a_note(finished, tmp_path):
    first = "import sys; sys.modules['tensorflow_serving'] = None"
    code, _, err = export(finished[0], tmp_path / "out", first=first)
    assert code == 0, err
    (line,) = [line for line in err.splitlines() if not is_notice(line)]
    assert line.startswith("note: no warm-up requests: they need the extra `serving`")
    version = pathlib.Path(tmp_path / "out" / "20")
    assert not (version / "assets.extra").exists()
    assert (version / "saved_model.pb").exists()


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["--seeds=a"], "--seeds must be whole numbers"),
        (["--seeds="], "--seeds must be"),
        (["--seeds=0,1", "--columns=3"], "Received with it: --columns"),
        (["--seeds=0", "--seed=1", "--interpolate=0,1"], "--seed, --interpolate"),
    ],
)
def test_seeds_of_sample_stand_alone(finished, given, part):
    assert_one_line(run("sample", f"--run_dir={finished[0]}", *given), 2, part)
