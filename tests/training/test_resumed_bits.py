"""Runs in other forms than the default one: stopped and started again, to the same bits."""

import pytest

from keras_sagan.config import Config
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest
from keras_sagan.training.run import train

TINY = {"image_size": 16, "image_channels": 1, "z_dim": 4, "g_channels": 2, "d_channels": 2}
TINY |= {"batch_size": 4, "ema_start": 3, "log_every": 5, "jit_compile": "off"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Function of steps, as ends of starts of one run, and options to its directory."""
    folder = tmp_path_factory.mktemp("going_on")

    def trained(ends, **options):
        name = "-".join(map(str, [*ends, *options.values()]))
        config = TINY | options | {"data_dir": str(folder / "data")}
        for end in ends:
            run = train(Config(**config, total_steps=end), folder / name)
        return run

    return trained


@pytest.fixture(scope="module")
def default(trained):
    return digest(newest_checkpoint(trained([10]).checkpoints))


@pytest.mark.parametrize(
    "options",
    [{"precision": "mixed_bfloat16"}, {"fast": False, "reuse_fakes": True}],
    ids=lambda options: next(iter(options)),
)
def test_two_starts_make_what_one_makes(trained, default, options):
    straight, stopped = trained([10], **options), trained([5, 10], **options)
    digests = [digest(newest_checkpoint(run.checkpoints)) for run in (straight, stopped)]
    assert digests[0] == digests[1] != default
    losses = [
        [(row["step"], row["d_loss"], row["g_loss"]) for row in run.rows("train.jsonl")]
        for run in (straight, stopped)
    ]
    assert losses[0] == losses[1]
    assert [step for step, *_ in losses[0]] == [5, 10]
