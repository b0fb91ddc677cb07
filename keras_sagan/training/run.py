"""Trains a run from its first step, or from its newest checkpoint, to its last step."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.prepared import hold_out
from keras_sagan.data.report import describe_set
from keras_sagan.devices.strategy import device_name
from keras_sagan.errors import NotFinite, RunError, UsageError, reason_of
from keras_sagan.networks.macs import costs
from keras_sagan.progress import say_line
from keras_sagan.runs.checkpoint_files import newest_checkpoint, step_of
from keras_sagan.runs.checkpoints import Checkpoints, Restored
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.runs.initial_weights import read_initial_weights, settle_source
from keras_sagan.training import xla
from keras_sagan.training.actions import EndTraining
from keras_sagan.training.best_score import make_best_score
from keras_sagan.training.preemption import Preemption
from keras_sagan.training.rollback import recorded_rollbacks, roll_back
from keras_sagan.training.session import SAGAN, Ends, Method, Training, train_from
from keras_sagan.training.start import check_same_flags, prepare_together, start_cluster


def train(
    config: Config, run_dir: str | pathlib.Path, method: Method = SAGAN, allowed: Sequence[str] = ()
) -> RunDirectory:
    """Trains in `run_dir` until `config.total_steps`; resumes where an earlier process ended.

    Training ends after `config.total_minutes` if that is earlier. A SIGTERM, SIGINT, SIGHUP or
    SIGUSR1 after the first call of the runtime lets the current call end; then a checkpoint is
    written. Outside Python's main thread, training works but leaves signals alone.

    Args:
        config: of the run.
        run_dir: its folder.
        method: how networks are made and trained.
        allowed: names of fields of `CHANGEABLE` that may differ from the run's own.

    Raises:
        UsageError: if the configuration is impossible here, or differs from the run's own.
        RunError: if the run is in use, cannot be read or written, or has non-finite numbers, or
            another of its workers has ended.

    Returns:
        The run's directory; `describe_ending` says how training ended.
    """
    directory, cluster = RunDirectory(run_dir), start_cluster(config)
    try:
        with cluster.stay_together(), contextlib.ExitStack() as stack:
            check_same_flags(config, cluster)
            init_from = cluster.decide(lambda: settle_source(config, directory))
            config = dataclasses.replace(config, init_from=init_from)
            cluster.run_on_chief(lambda: stack.enter_context(directory.lock()))
            prepared, changes = prepare_together(config, directory, cluster, allowed)
            config = config.with_data_classes(prepared.num_classes)
            config = dataclasses.replace(config, data_dir=str(prepared.data_dir.absolute()))
            state, keep = method.create_state(cluster.strategy, config), config.keep_checkpoints
            checkpoints = Checkpoints(directory.checkpoints, state, keep, cluster)
            training = Training(config, directory, cluster, prepared, state, checkpoints)
            resume_training(training, method, changes)
    except (OSError, tf.errors.OpError) as error:
        raise RunError(
            f"{directory.path}: stopped; earlier checkpoints are intact: {reason_of(error)}"
        ) from error
    return directory


def resume_training(training: Training, method: Method, changes: Sequence[str]) -> None:
    """Trains from the newest checkpoint, with rollbacks, in a directory that the chief has locked.

    The state of `training` is fresh. `changes` to the configuration are recorded.
    """
    config, cluster = training.config, training.cluster
    restore = functools.partial(restore_newest, training)
    restored = restore()
    check_end(config, restored.step)
    choice = choose_xla(training, method, config.total_steps - restored.step)
    training.compiled = choice["compiles"]
    notes = cluster.run_on_chief(lambda: claim_directory(training, restored, changes, choice))
    training.rollbacks = cluster.broadcast(
        cluster.is_chief and recorded_rollbacks(training.directory, restored.step)
    )
    seconds = recorded_seconds(training.directory, restored) if cluster.is_chief else 0.0
    end = EndTraining(config.total_steps, config.total_minutes, seconds, cluster)
    with Preemption(say_line, cluster.any_process) as signals:
        while True:
            try:
                train_from(training, method, restored, Ends(end, signals), notes or ())
                return
            except NotFinite as error:
                if config.on_nan == "stop":
                    raise
                restored, training.rollbacks = roll_back(
                    training.checkpoints, training.rollbacks, restore, error
                )
                if cluster.is_chief:
                    notes = record_rollback(training, restored, end.seconds, error)


def check_end(config: Config, done: int) -> None:
    """Raises a `UsageError` if a run that has done some steps cannot or should not go so far."""
    total, decays = config.total_steps, config.lr_decay_steps
    if done > total:
        raise UsageError(
            f"total_steps must be at least {done}, the steps that this run has done. "
            f"Received: {total}"
        )
    if decays and total > decays and not config.total_minutes:
        raise UsageError(
            "total_steps must be at most lr_decay_steps, after which nothing would be learned. "
            f"Received: total_steps={total}, lr_decay_steps={decays}"
        )


def record_rollback(training, restored: Restored, seconds: float, error: NotFinite) -> list[str]:
    """Adds a rollback to train.jsonl, with the lost time too; returns lines for the user."""
    number = len(training.rollbacks)
    row = {"step": restored.step, "seconds": seconds, "rollback": number}
    row |= {"bad_step": error.step, "bad": error.name}
    training.directory.append("train.jsonl", row)
    rolled_back = f"rolled back to step {restored.step} with other noise, time {number}"
    return [f"warning: {each}" for each in (f"{error}; {rolled_back}", *restored.warnings)]


def restore_newest(training: Training) -> Restored:
    """Restores the newest checkpoint, with the learning rates of the configuration, not its own.

    Without a checkpoint, the state gets the weights that `init_from` names.
    """
    restored = training.checkpoints.restore()
    if training.config.init_from and not restored.step:
        restored = start_from_source(training)
    training.state.g_optimizer.learning_rate = training.config.g_lr
    training.state.d_optimizer.learning_rate = training.config.d_lr
    return restored


def start_from_source(training: Training) -> Restored:
    """Gives a fresh state the weights that `init_from` names, in every process."""
    config = training.config
    initial = read_initial_weights(config, training.cluster)
    fresh = initial.assign_to(training.state)
    notes = [f"note: {initial.describe(fresh, config.num_classes)}"]
    return Restored(0, notes=notes, source=initial.make_record(fresh, training.directory.path))


def choose_xla(training: Training, method: Method, steps_ahead: int) -> xla.Choice:
    """Whether XLA compiles the steps. To decide, it may time a game that is thrown away."""
    config, cluster = training.config, training.cluster
    if not method.measures_xla:
        return {"compiles": xla.compiles_by_default(config.jit_compile)}

    def time_step(compiled):
        state = method.create_state(cluster.strategy, config)
        call = method.make_train_call(dataclasses.replace(training, state=state, compiled=compiled))
        return xla.median_seconds(lambda: call(1))

    return xla.choose_xla(config, training.directory, cluster, time_step, steps_ahead)


def claim_directory(training, restored, changes, choice: xla.Choice) -> list[str]:
    """Records this start of the run, on the chief; returns lines for the user."""
    config, directory, state = training.config, training.directory, training.state
    training.best_score = make_best_score(training.prepared, config.eval_every, config.data_dir)
    # Only now, so that an impossible request does not claim the folder.
    directory.write_config(config)
    devices = [str(each) for each in training.cluster.strategy.extended.worker_devices]
    networks = {network.name: costs(network) for network in (state.generator, state.discriminator)}
    facts = {"data": training.prepared.summary, "device": device_name(), "networks": networks}
    facts |= {"processes": training.cluster.size, "xla": choice}
    facts["deterministic"] = config.deterministic
    facts["paths"] = {"run_dir": str(directory.path.absolute()), "data_dir": config.data_dir}
    if source := restored.source or directory.read_environment().get("init_from"):
        facts["init_from"] = source
    if changes:
        facts["config_changes"] = list(changes)
    earlier = directory.write_environment(restored.step, devices, facts)
    notes = describe_set(training.prepared.record, config.image_set.preprocessing)
    if config.holdout:
        training_part, held_out = hold_out(training.prepared, config.holdout)
        count = len(training_part.images) + len(held_out.images)
        notes.append(f"{len(held_out.images):,} of {count:,} images are held out")
    notes += [*restored.notes, *(f"warning: {warning}" for warning in restored.warnings)]
    if earlier not in (None, devices):
        notes.append(f"note: this run began on {earlier} and resumes on {devices}")
    return notes


def recorded_seconds(directory: RunDirectory, restored: Restored) -> float:
    """Seconds of training before the restored step, without later steps that were abandoned."""
    rows = [row for row in directory.rows("train.jsonl") if row["step"] <= restored.step]
    known = (restored.partial_record, *rows[-1:])
    return max(row.get("seconds", 0.0) for row in known)


def describe_ending(directory: RunDirectory) -> str:
    """How the training in `directory` has ended, as a sentence."""
    if stop := directory.read_stop():
        return (
            f"{stop['signal']}: stopped at step {stop['step']} with a checkpoint in "
            f"{directory.path}; the same command resumes from there"
        )
    step = step_of(newest_checkpoint(directory.checkpoints))
    return f"trained to step {step}: checkpoints, samples and records in {directory.path}"
