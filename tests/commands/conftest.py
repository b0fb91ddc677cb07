"""A run that many tests look at."""

import pytest
from process import train


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, data_dir):
    """A run of 20 steps."""
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    _, log = train(run_dir, data_dir, "--total_steps=20")
    return run_dir, log
