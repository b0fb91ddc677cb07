"""What TensorBoard shows of a run that was killed and resumed."""

import pytest
import smallest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from keras_sagan.config import Config
from keras_sagan.runs.checkpoint_files import list_checkpoints, remove_checkpoint, step_of
from keras_sagan.training.run import train


@pytest.mark.slow_except("2")
@pytest.mark.parametrize("kept", [2, 4])
def test_steps_that_are_trained_again_are_shown_once(kept, tmp_path):
    fields = smallest.RUN | smallest.DCGAN | {"dataset": "synthetic", "num_classes": 3}
    fields |= {"log_every": 1, "checkpoint_every": 1, "keep_checkpoints": 9, "steps_per_call": 1}
    config = Config(**fields, total_steps=5, data_dir=str(tmp_path / "data"))
    run = train(config, tmp_path / "run")
    for path in map(type(tmp_path), list_checkpoints(run.checkpoints)):
        if step_of(path) > kept:
            remove_checkpoint(path)
    train(config, tmp_path / "run")
    shown = EventAccumulator(str(run.tensorboard), {"tensors": 0})
    shown.Reload()
    assert [each.step for each in shown.Tensors("d_loss")] == [1, 2, 3, 4, 5]
