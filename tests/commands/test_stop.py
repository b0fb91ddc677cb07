"""Runs that a signal stops: with a checkpoint, and as if nothing had happened when they go on."""

import json
import signal

from process import flags, losses_of, rows, run, start, train, wait_for

from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest

# One step a call, and seconds between two checkpoints, so that signals come between them.
MORE = ["--steps_per_call=1", "--log_every=40", "--checkpoint_every=75", "--sample_every=1000"]
MORE += ["--keep_checkpoints=2", "--total_steps=200"]


def names(run_dir):
    return {path.name for path in (run_dir / "checkpoints").iterdir()}


def test_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, data_dir):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    train(straight, data_dir, *MORE)
    process = start("train", *flags(stopped, data_dir, *MORE))
    wait_for(stopped / "train.jsonl", process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    step = json.loads((stopped / "stop.json").read_text())["step"]
    assert 40 <= step < 200
    assert out == (
        f"SIGTERM: stopped at step {step} with a checkpoint in {stopped}; the same command "
        "resumes from there\n"
    )
    assert "SIGTERM: stopping after this call" in err
    assert f"step-{step}.index" in names(stopped)
    assert rows(stopped / "train.jsonl")[-1]["step"] == step // 40 * 40
    out, _ = train(stopped, data_dir, *MORE)
    assert out.startswith("trained to step 200: ")
    assert json.loads((stopped / "environment.json").read_text())["step"] == step
    assert names(stopped) == names(straight)
    assert not (stopped / "stop.json").exists()
    assert losses_of(stopped) == losses_of(straight)
    seconds = [row["seconds"] for row in rows(stopped / "train.jsonl")]
    assert seconds == sorted(seconds)
    assert digest(newest_checkpoint(stopped / "checkpoints")) == digest(
        newest_checkpoint(straight / "checkpoints")
    )


def test_before_training_a_signal_ends_it_at_once(tmp_path, data_dir):
    process = start("train", *flags(tmp_path, data_dir, "--total_steps=200"))
    wait_for(tmp_path / "lock", process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.splitlines()[-1].endswith("error: terminated")
    assert not (tmp_path / "checkpoints").exists()
    assert run("train", "--check", f"--run_dir={tmp_path}")[0] == 2
