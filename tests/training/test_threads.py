"""Training in other threads than the main one, as notebooks and web servers start it."""

import threading

import pytest
import smallest

from keras_sagan.config import Config
from keras_sagan.progress import Progress
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest
from keras_sagan.training.run import train

SETTINGS = smallest.RUN | smallest.DCGAN | {"log_every": 2, "checkpoint_every": 2, "total_steps": 2}
SETTINGS |= {"steps_per_call": 1}


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(Progress, "say", lambda self, line: lines.append(line))
    return lines


@pytest.mark.slow
def test_two_trainings_in_threads_equal_one_in_the_main_thread(tmp_path, said):
    """The first one also prepares the data."""
    config = Config(**SETTINGS, dataset="synthetic", data_dir=str(tmp_path / "data"))
    digests = []

    def train_run(name):
        run = train(config, tmp_path / name)
        digests.append(digest(newest_checkpoint(run.checkpoints)))

    for number in (1, 2):
        thread = threading.Thread(target=train_run, args=[f"thread-{number}"])
        thread.start()
        thread.join()
        assert sum("main thread" in line for line in said) == number
    train_run("main")
    assert sum("main thread" in line for line in said) == 2
    assert len(digests) == 3
    assert len(set(digests)) == 1
