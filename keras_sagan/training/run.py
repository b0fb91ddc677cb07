"""A run from its first step, or from its newest checkpoint, to its last step."""

import contextlib
import dataclasses
import pathlib
import time

import tensorflow as tf

from keras_sagan.data.batches import make_iterator
from keras_sagan.data.prepared import Prepared, prepare
from keras_sagan.devices.cluster import Cluster
from keras_sagan.devices.strategy import device_name, make_strategy
from keras_sagan.errors import NotFinite, RunError, UsageError, reason_of
from keras_sagan.networks.macs import costs
from keras_sagan.runs.checkpoint_files import latest, step_of
from keras_sagan.runs.checkpoints import Checkpoints
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training import health as vitals
from keras_sagan.training.best_score import make_judge
from keras_sagan.training.follower import Follower
from keras_sagan.training.game import Game
from keras_sagan.training.loop import make_train
from keras_sagan.training.preemption import Preemption
from keras_sagan.training.profiling import Profile
from keras_sagan.training.records import Records
from keras_sagan.training.rollback import go_back, restore
from keras_sagan.training.state import State
from keras_sagan.training.xla import choose, compiles


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
        RunError: if the run is in use, cannot be read or written, its numbers are not finite, or
            another worker of it has ended.

    Returns:
        `RunDirectory`; `ending` says how it ended.
    """
    run = RunDirectory(run_dir)
    strategy = make_strategy(config)
    cluster = Cluster(strategy)
    try:
        with cluster.together(), contextlib.ExitStack() as stack:
            cluster.chief(lambda: stack.enter_context(run.lock()))
            play(config, run, strategy, create or create_state, steps or play_steps, allowed)
    except (OSError, tf.errors.OpError) as error:
        raise RunError(
            f"{run.path}: stopped; checkpoints written before are intact: {reason_of(error)}"
        ) from error
    return run


def play(config, run, strategy, create, steps, allowed):
    """Plays the game from the newest checkpoint on, in a run directory that is the chief's."""
    cluster = Cluster(strategy)
    prepared = prepare_together(config, run, cluster, allowed)
    config = with_classes(config, prepared)
    state = create(strategy, config)
    checkpoints = Checkpoints(run.checkpoints, state, config.keep_checkpoints, cluster)
    step = restore(config, state, checkpoints)
    if step > config.total_steps:
        raise UsageError(
            f"total_steps must be at least {step}, the steps that this run has done. "
            f"Received: {config.total_steps}"
        )
    if steps is play_steps:
        xla = choose(config, run, strategy, create, prepared, config.total_steps - step)
    else:  # Another game than the one that is measured.
        xla = {"compiles": compiles(config, strategy)}
    records = cluster.chief(
        lambda: begin(config, run, strategy, state, prepared, checkpoints, allowed, xla)
    )
    config = dataclasses.replace(config, jit_compile="on" if xla["compiles"] else "off")
    rollbacks = cluster.word(records and records.rollbacks)
    records = records or Follower(rollbacks)
    try:
        with Preemption(records.progress.say, cluster.anywhere) as preemption:
            while True:
                try:
                    steps(config, strategy, state, prepared, checkpoints, records, preemption)
                    return
                except NotFinite as error:
                    go_back(config, state, checkpoints, records, error)
    finally:
        records.close()


def prepare_together(config, run, cluster, allowed):
    """The run's data, if `config` may go on in `run` and is that of all processes.

    Raises:
        UsageError: if not.
    """
    own = dataclasses.asdict(config)
    chiefs = cluster.word(own)
    differing = [f"{name}={own[name]}" for name in own if own[name] != chiefs[name]]
    if cluster.anywhere([bool(differing)])[0]:
        received = ", ".join(differing) or "others in another worker"
        raise UsageError(f"workers need the flags of their chief. Received: {received}")

    def prepared_for_run():
        run.check_config(config, allowed)
        prepared = prepare(config.image_set, config.data_dir, config.max_bad_fraction)
        run.check_config(with_classes(config, prepared), allowed)
        run.check_data(prepared.summary)
        return prepared

    prepared = cluster.chief(prepared_for_run, "prepares the data")
    directory = pathlib.Path(cluster.word(prepared and str(prepared.directory)))
    if not directory.exists():
        raise RunError(
            f"data_dir must be a folder that all workers share. Received: no {directory}"
        )
    return prepared or Prepared(directory)


def begin(config, run, strategy, state, prepared, checkpoints, allowed, xla):
    """Claims the folder for this start of the run; returns its `Records`."""
    changes = run.check_config(config, allowed)
    judge = make_judge(config, prepared)
    # Only now, so that an impossible request leaves no claim behind.
    run.write_config(config)
    step = int(state.step.numpy())
    devices = [str(device) for device in strategy.extended.worker_devices]
    networks = {network.name: costs(network) for network in (state.generator, state.discriminator)}
    facts = {"data": prepared.summary, "device": device_name(), "networks": networks}
    facts |= {"processes": checkpoints.cluster.size, "xla": xla}
    if changes:
        facts["config_changes"] = changes
    earlier = run.write_environment(step, devices, facts)
    if run.read_stop(step) and step % config.checkpoint_every:
        checkpoints.passing = step
    records = Records(config, run, state, prepared, judge, step, checkpoints.counted)
    for warning in checkpoints.warnings:
        records.progress.say(f"warning: {warning}")
    if earlier not in (None, devices):
        records.progress.say(f"note: this run began on {earlier} and goes on on {devices}")
    return records


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
    counts, jit_compile = prepared.record["counts"], compiles(config, strategy)
    game = Game(config, state, counts, jit_compile, len(records.rollbacks))
    train_call = make_train(strategy, game)
    step = int(state.step.numpy())
    iterator = make_iterator(
        strategy, prepared, config.batch_size, config.seed, step * config.d_steps
    )
    best = records.best()
    last, stopped = is_last(step, config, records, checkpoints.cluster), None
    with contextlib.closing(Profile(config, records.tensorboard, step)) as profile:
        if not last:
            records.progress.say("compiling the first step")
            profile.at(step)
        while not (last or stopped):
            num_steps = min(steps_to_next_stop(config, step), profile.steps_ahead(step))
            begun = time.monotonic()
            numbers, bad = train_call(iterator, state.step, tf.constant(num_steps))
            numbers = {name: float(value) for name, value in numbers.items()}
            seconds = time.monotonic() - begun
            step += num_steps
            profile.at(step)
            vitals.check(numbers, bad.numpy(), step)
            records.count(step, num_steps, numbers, seconds)
            last = is_last(step, config, records, checkpoints.cluster)
            if last or step % config.sample_every == 0:
                records.write_samples(step)
            if last or step % score_every(config) == 0:
                checkpoints.cluster.chief(state.check_finite)
                score = records.score(step)
                if score < best:
                    best = score
                    checkpoints.save_best()
            stopped = not last and preemption.asked()
            if last or stopped or step % config.checkpoint_every == 0:
                save(step, state, checkpoints, records, stopped)


def is_last(step, config, records, cluster):
    """Whether the run ends here; by the chief's clock, if by time."""
    return step == config.total_steps or cluster.anywhere([records.is_out_of_time()])[0]


def save(step, state, checkpoints, records, stopped):
    """A checkpoint; `stopped` is the name of the signal that ends this process, or not true."""
    checkpoints.cluster.chief(state.check_finite)
    if not checkpoints.cluster.is_chief:
        return
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
