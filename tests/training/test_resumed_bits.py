"""Runs in other forms than the default one: stopped and started again, to the same bits."""

import pytest
import smallest

from keras_sagan.config import Config
from keras_sagan.runs.checkpoint_files import newest_checkpoint
from keras_sagan.runs.checkpoints import digest
from keras_sagan.training.run import train

# All that is a state besides networks and optimizers, or depends on the number of an update.
ADAPTIVE = {
    "augment": "color,translation,cutout,diffusion",
    "augment_target": 0.5,
    "augment_images": 100,
    "lecam": 0.3,
    "r1": 1.0,
    "r1_every": 3,
    "accumulate": 2,
    "holdout": 0.1,
    "lr_decay": "cosine",
    "lr_decay_steps": 10,
    "d_steps": 2,
    **smallest.DCGAN,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Function of steps, as ends of starts of one run, and options to its directory."""
    folder = tmp_path_factory.mktemp("going_on")

    def trained(ends, **options):
        name = "-".join(map(str, [*ends, *options]))
        config = smallest.RUN | options | {"log_every": 5, "data_dir": str(folder / "data")}
        for end in ends:
            run = train(Config(**config, total_steps=end), folder / name)
        return run

    return trained


@pytest.mark.slow_except("model")
@pytest.mark.parametrize(
    "options",
    [
        smallest.DCGAN,
        {"precision": "mixed_bfloat16"},
        {"fast": False, "reuse_fakes": True},
        ADAPTIVE,
    ],
    ids=lambda options: next(iter(options)),
)
def test_two_starts_make_what_one_makes(trained, options):
    straight, stopped = trained([10], **options), trained([5, 10], **options)
    digests = [digest(newest_checkpoint(run.checkpoints)) for run in (straight, stopped)]
    assert digests[0] == digests[1]
    losses = [
        [(row["step"], row["d_loss"], row["g_loss"]) for row in run.rows("train.jsonl")]
        for run in (straight, stopped)
    ]
    assert losses[0] == losses[1]
    assert [step for step, *_ in losses[0]] == [5, 10]
