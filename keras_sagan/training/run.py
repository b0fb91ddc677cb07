"""A run from its first step, or from its newest checkpoint, to its last step."""

import json
import math

import tensorflow as tf

from keras_sagan.data.batches import make_iterator
from keras_sagan.data.prepare import prepare
from keras_sagan.errors import RunError
from keras_sagan.training.game import Game
from keras_sagan.training.loop import make_train
from keras_sagan.training.records import Records
from keras_sagan.training.run_directory import RunDirectory
from keras_sagan.training.state import Checkpoints, State
from keras_sagan.training.strategy import compiles, make_strategy


def train(config, run_dir):
    """Trains in `run_dir` until `config.total_steps`; goes on where an earlier start ended.

    Raises:
        UsageError: if the configuration is impossible here, or not that of the run.
        RunError: if the run is in use, cannot be read or written, or its losses are not finite.
    """
    run = RunDirectory(run_dir)
    with run.lock():
        run.check_config(config)
        strategy = make_strategy(config)
        prepared = prepare(config)
        # Only now, so that an impossible request leaves no claim behind.
        run.write_config(config)
        run.write_environment([str(device) for device in strategy.extended.worker_devices])
        with strategy.scope():
            state = State.create(config)
        checkpoints = Checkpoints(run.checkpoints, state, config.keep_checkpoints)
        step = checkpoints.restore()
        run.forget_after("train.jsonl", step)
        run.forget_after("scores.jsonl", step)
        records = Records(config, run, state, prepared.images, step)
        try:
            play(config, strategy, state, prepared, checkpoints, records)
        except (OSError, tf.errors.OpError) as error:
            raise RunError(
                f"stopped at step {int(state.step.numpy())}; earlier checkpoints are intact: "
                f"{str(error).splitlines()[0]}"
            ) from error
        finally:
            records.close()
    return run


def play(config, strategy, state, prepared, checkpoints, records):
    """Plays the game from `state.step` on."""
    game = Game(
        config,
        state.generator,
        state.discriminator,
        state.ema_generator,
        state.g_optimizer,
        state.d_optimizer,
        compiles(config, strategy),
    )
    train_call = make_train(strategy, game)
    step = int(state.step.numpy())
    iterator = make_iterator(strategy, prepared, config, step * config.d_steps)
    best = best_score(records.run)
    if step == 0:
        records.say("compiling the first step")
    while step < config.total_steps:
        num_steps = steps_to_next_stop(config, step)
        losses = train_call(iterator, state.step, tf.constant(num_steps))
        losses = {name: float(value) for name, value in losses.items()}
        if not all(map(math.isfinite, losses.values())):
            raise RunError(
                f"expected finite losses between steps {step} and {step + num_steps}; the newest "
                f"checkpoint is from before. Received: {losses}"
            )
        step += num_steps
        records.count(step, num_steps, losses)
        last = step == config.total_steps
        if last or step % config.sample_every == 0:
            records.write_samples(step)
        if last or step % config.checkpoint_every == 0:
            score = records.score(step)
            if score < best:
                best = score
                checkpoints.save_best()
            checkpoints.save()


def steps_to_next_stop(config, step):
    """How many steps can go into one call: up to the next record, and not too many."""
    stops = (config.log_every, config.sample_every, config.checkpoint_every)
    ahead = min(every - step % every for every in stops)
    return min(ahead, config.steps_per_call, config.total_steps - step)


def best_score(run):
    """The best score that the run has recorded; infinite before the first."""
    path = run.path / "scores.jsonl"
    if not path.exists():
        return math.inf
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return min((row["thumbnail_fd512"] for row in rows), default=math.inf)
