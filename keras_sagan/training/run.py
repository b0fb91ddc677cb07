"""A run from its first step, or from its newest checkpoint, to its last step."""

import dataclasses
import json
import math
import time

import tensorflow as tf

from keras_sagan.data.batches import make_iterator
from keras_sagan.data.prepare import prepare
from keras_sagan.errors import RunError, UsageError, reason_of
from keras_sagan.networks.macs import costs
from keras_sagan.training.checkpoint_files import latest, step_of
from keras_sagan.training.game import Game
from keras_sagan.training.judge import make_judge
from keras_sagan.training.loop import make_train
from keras_sagan.training.preemption import Preemption
from keras_sagan.training.records import Records
from keras_sagan.training.run_directory import RunDirectory
from keras_sagan.training.state import Checkpoints, State
from keras_sagan.training.strategy import compiles, device_name, make_strategy


def train(config, run_dir, create=None, steps=None, allowed=()):
    """Trains in `run_dir` until `config.total_steps`; goes on where an earlier start ended.

    With `config.total_minutes` until then, if that is earlier. SIGTERM or SIGINT, once the first
    call of the runtime has ended, lets the present call end and writes a checkpoint.

    Args:
        config: `Config`.
        run_dir: path.
        create: function of strategy and config to a fresh `State`. None: `create_state`.
        steps: function of what `play_steps` takes, to train by. None: that.
        allowed: names of fields of `CHANGEABLE` that may differ from those of the run.

    Raises:
        UsageError: if the configuration is impossible here, or not that of the run.
        RunError: if the run is in use, cannot be read or written, or its numbers are not finite.

    Returns:
        `RunDirectory`; `ending` says how it ended.
    """
    run = RunDirectory(run_dir)
    try:
        with run.lock():
            play(config, run, create or create_state, steps or play_steps, allowed)
    except (OSError, tf.errors.OpError) as error:
        raise RunError(
            f"{run.path}: stopped; checkpoints written before are intact: {reason_of(error)}"
        ) from error
    return run


def play(config, run, create, steps, allowed):
    """Plays the game from the newest checkpoint on, in a run directory that is ours."""
    run.check_config(config, allowed)
    strategy = make_strategy(config)
    prepared = prepare(config)
    config = with_classes(config, prepared)
    changes = run.check_config(config, allowed)
    run.check_data(prepared.summary)
    state = create(strategy, config)
    checkpoints = Checkpoints(run.checkpoints, state, config.keep_checkpoints)
    step = checkpoints.restore()
    # Checkpoints hold the rates that they were trained by.
    state.g_optimizer.learning_rate = config.g_lr
    state.d_optimizer.learning_rate = config.d_lr
    if step > config.total_steps:
        raise UsageError(
            f"total_steps must be at least {step}, the steps that this run has done. "
            f"Received: {config.total_steps}"
        )
    judge = make_judge(config, prepared)
    # Only now, so that an impossible request leaves no claim behind.
    run.write_config(config)
    devices = [str(device) for device in strategy.extended.worker_devices]
    networks = {network.name: costs(network) for network in (state.generator, state.discriminator)}
    facts = {"data": prepared.summary, "device": device_name(), "networks": networks}
    if changes:
        facts["config_changes"] = changes
    earlier = run.write_environment(step, devices, facts)
    broken = [run.forget_after(name, step) for name in ("train.jsonl", "scores.jsonl")]
    if run.read_stop(step) and step % config.checkpoint_every:
        checkpoints.passing = step
    records = Records(config, run, state, judge, step, checkpoints.counted)
    for warning in [*checkpoints.warnings, *filter(None, broken)]:
        records.progress.say(f"warning: {warning}")
    if earlier not in (None, devices):
        records.progress.say(f"note: this run began on {earlier} and goes on on {devices}")
    try:
        with Preemption(records.progress.say) as preemption:
            steps(config, strategy, state, prepared, checkpoints, records, preemption)
    finally:
        records.close()


def ending(run):
    """How the training in `run` has ended, in words."""
    if stop := run.read_stop():
        return (
            f"{stop['signal']}: stopped at step {stop['step']} with a checkpoint in {run.path}; "
            "the same command goes on from there"
        )
    step = step_of(latest(run.checkpoints))
    return f"trained to step {step}: checkpoints, samples and records in {run.path}"


def create_state(strategy, config):
    with strategy.scope():
        return State.create(config)


def with_classes(config, prepared):
    """`config` with the data's number of classes where it asks for that: 0 if there is only one."""
    if config.num_classes != -1:
        return config
    classes = prepared.num_classes if prepared.num_classes > 1 else 0
    return dataclasses.replace(config, num_classes=classes)


def play_steps(config, strategy, state, prepared, checkpoints, records, preemption):
    """The steps that are left, with their records, samples and checkpoints."""
    game = Game(config, state, prepared.record["counts"], compiles(config, strategy))
    train_call = make_train(strategy, game)
    step = int(state.step.numpy())
    iterator = make_iterator(strategy, prepared, config, step * config.d_steps)
    best = best_score(records.run, records.judge.name)
    last, stopped = step == config.total_steps or records.is_out_of_time(), None
    if not last:
        records.progress.say("compiling the first step")
    while not (last or stopped):
        num_steps = steps_to_next_stop(config, step)
        begun = time.monotonic()
        losses = train_call(iterator, state.step, tf.constant(num_steps))
        losses = {name: float(value) for name, value in losses.items()}
        seconds = time.monotonic() - begun
        if not all(map(math.isfinite, losses.values())):
            raise RunError(
                f"expected finite losses between steps {step} and {step + num_steps}; "
                f"checkpoints are from before. Received: {losses}"
            )
        step += num_steps
        records.count(step, num_steps, losses, seconds)
        last = step == config.total_steps or records.is_out_of_time()
        if last or step % config.sample_every == 0:
            records.write_samples(step)
        if last or step % score_every(config) == 0:
            state.check_finite()
            score = records.score(step)
            if score < best:
                best = score
                checkpoints.save_best()
        stopped = not last and preemption.asked()
        if last or stopped or step % config.checkpoint_every == 0:
            save(step, state, checkpoints, records, stopped)


def save(step, state, checkpoints, records, stopped):
    """A checkpoint; `stopped` is the name of the signal that ends this process, or not true."""
    state.check_finite()
    if stopped:  # First: without its checkpoint it is passed over, and not the other way round.
        records.run.write_stop(step, stopped)
    checkpoints.save(records.counted())
    if not stopped:
        records.run.forget_stop()


def score_every(config):
    """Steps between two scores: by default each checkpoint gets one."""
    return config.eval_every or config.checkpoint_every


def steps_to_next_stop(config, step):
    """How many steps can go into one call: up to the next record, and not too many."""
    stops = (config.log_every, config.sample_every, config.checkpoint_every, score_every(config))
    ahead = min(every - step % every for every in stops)
    return min(ahead, config.steps_per_call, config.total_steps - step)


def best_score(run, name):
    """The best score of this name that the run has recorded; infinite before the first."""
    path = run.path / "scores.jsonl"
    if not path.exists():
        return math.inf
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return min((row[name] for row in rows if name in row), default=math.inf)
