"""A run that many tests look at."""

import shutil

import pytest
from process import train

from keras_sagan.files import locked


@pytest.fixture(scope="session")
def finished(tmp_path_factory, data_dir):
    """A copy of a run of 20 steps, which one process trains for all, and the run's log."""
    trained, log = data_dir.with_name("finished"), data_dir.with_name("finished.log")
    with locked(data_dir.with_name("lock"), "trains"):
        if not log.exists():
            log.write_text(train(trained, data_dir, "--total_steps=20")[1])
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    shutil.copytree(trained, run_dir)
    return run_dir, log.read_text()
