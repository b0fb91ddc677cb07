"""Two workers, of which one is killed or told to stop: both end, and resume where they were."""

import contextlib
import json
import signal
import time

import pytest
from process import SIMPLE, environment, flags, free_ports, start

from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest

pytestmark = pytest.mark.slow

MORE = [*SIMPLE, "--checkpoint_every=20", "--log_every=1000", "--sample_every=1000"]
MORE += ["--steps_per_call=5"]
# Longer than the tests take.
ENDLESS = "--total_steps=1000000"


@contextlib.contextmanager
def workers(run_dir, data_dir):
    """Both, as running processes, once they have written a checkpoint that was not there."""
    before = newest(run_dir)
    ports = free_ports(2)
    started = [
        start(
            "train",
            *flags(run_dir, data_dir, *MORE, ENDLESS, "--strategy=multi_worker"),
            env=environment(ports, index),
        )
        for index in range(2)
    ]
    try:
        while newest(run_dir) == before:
            for process in started:
                assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def newest(run_dir):
    steps = [int(path.stem.removeprefix("step-")) for path in run_dir.glob("checkpoints/*.sha256")]
    return max(steps, default=0)


def ended(process):
    """Exit code, standard output, standard error, and the seconds until then."""
    begun = time.monotonic()
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err, time.monotonic() - begun


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, data_dir):
    """A run whose worker was killed, then started again and stopped; and how these ended."""
    run_dir = tmp_path_factory.mktemp("runs") / "lost"
    with workers(run_dir, data_dir) as (chief, worker):
        worker.kill()
        after_kill = ended(chief)
    with workers(run_dir, data_dir) as (chief, worker):
        worker.send_signal(signal.SIGTERM)
        after_signal = [ended(process) for process in (chief, worker)]
    return run_dir, after_kill, after_signal


def test_when_a_worker_is_killed_the_others_end(stopped):
    code, out, err, seconds = stopped[1]
    assert code == 1
    assert out == ""
    assert err.splitlines()[-1] == (
        "train.py: error: worker 1 has ended or cannot be reached: start all workers again with "
        "the same command, and training resumes from its newest checkpoint"
    )
    assert seconds < 300  # TensorFlow alone would wait for it without end.
    assert "Traceback" not in err


def test_a_signal_to_one_stops_all_at_the_same_step(stopped):
    run_dir, _, after_signal = stopped
    step = json.loads((run_dir / "stop.json").read_text())["step"]
    assert newest(run_dir) == step
    for code, out, err, _ in after_signal:
        assert code == 0, err
        assert out == (
            f"SIGTERM: stopped at step {step} with a checkpoint in {run_dir}; the same command "
            "resumes from there\n"
        )
    said = ["SIGTERM: stopping after this call" in err for _, _, err, _ in after_signal]
    assert said == [False, True]


def test_one_process_goes_on_to_what_an_undisturbed_run_reaches(stopped, tmp_path, data_dir):
    """To the same bits, though the run began with two."""
    total = f"--total_steps={newest(stopped[0]) + 5}"
    run_dirs = stopped[0], tmp_path
    started = [
        start("train", *flags(run_dir, data_dir, *MORE, total, "--replicas=2"))
        for run_dir in run_dirs
    ]
    for process in started:
        code, _, err, _ = ended(process)
        assert code == 0, err
    first, second = (digest(newest_checkpoint(run_dir / "checkpoints")) for run_dir in run_dirs)
    assert first == second
