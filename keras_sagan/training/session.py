"""Training from a checkpoint until its end, a signal, or a non-finite number."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.data.batches import make_iterator
from keras_sagan.data.prepared import Prepared, hold_out
from keras_sagan.devices.cluster import Cluster
from keras_sagan.metrics.coherence import coherence
from keras_sagan.metrics.diversity import LEAST
from keras_sagan.progress import say_line
from keras_sagan.runs.checkpoints import Checkpoints, Restored
from keras_sagan.runs.directory import RunDirectory
from keras_sagan.training.actions import (
    CheckHealth,
    EndTraining,
    OnChief,
    Profile,
    SaveCheckpoint,
    StopOnSignal,
)
from keras_sagan.training.augmented import make_augmented
from keras_sagan.training.best_score import BestScore
from keras_sagan.training.collapse import CollapseWatch
from keras_sagan.training.game import GAMES
from keras_sagan.training.gauges import Gauges
from keras_sagan.training.loop import make_train_call
from keras_sagan.training.overfitting import OverfittingWatch, was_overfitted
from keras_sagan.training.preemption import Preemption
from keras_sagan.training.records import FixedFakes, Log, Records, Score, WriteSamples
from keras_sagan.training.state import State
from keras_sagan.training.trainer import Action, Trainer


@dataclasses.dataclass
class Training:
    """A run as this process trains it."""

    config: Config  # Of the run, with the number of classes that the data have.
    directory: RunDirectory
    cluster: Cluster  # The processes that train it.
    prepared: Prepared  # The real images.
    state: State  # Networks and optimizers.
    checkpoints: Checkpoints  # Of `state`.
    compiled: bool = False  # Whether XLA compiles the steps.
    # Steps that the run has rolled back to.
    rollbacks: list[int] = dataclasses.field(default_factory=list)
    # Chooses the best checkpoint; None on workers other than the chief.
    best_score: BestScore | None = None


@dataclasses.dataclass(frozen=True)
class Method:
    """How a state is made and trained: as in the paper, or differently for comparison."""

    # Function from strategy and `Config` to a fresh `State`.
    create_state: Callable[[tf.distribute.Strategy, Config], State]
    # Function from `Training` to the function that `Trainer` calls.
    make_train_call: Callable[[Training], Callable]
    measures_xla: bool = True  # Whether XLA may be chosen by timing steps.
    keeps_best: bool = True  # Whether checkpoints are scored and the best one is kept.


def create_state(strategy: tf.distribute.Strategy, config: Config) -> State:
    """A fresh state on all replicas of `strategy`."""
    with strategy.scope():
        return State.create(config)


def make_game_call(training: Training) -> Callable:
    """The function with which `Trainer` plays the game on all replicas from the present step."""
    config, state, strategy = training.config, training.state, training.cluster.strategy
    examples, _ = hold_out(training.prepared, config.holdout)
    counts = np.bincount(examples.labels, minlength=training.prepared.num_classes).tolist()
    rollbacks = len(training.rollbacks)
    game = GAMES[config.reuse_fakes](config, state, counts, training.compiled, rollbacks)
    train_call = make_train_call(strategy, game)
    start = int(state.step.numpy()) * config.d_steps
    iterator = make_iterator(strategy, examples, config.batch_size, config.seed, start)

    def call(num_steps):
        numbers, bad_steps = train_call(iterator, state.step, tf.constant(num_steps))
        return {name: float(value) for name, value in numbers.items()}, bad_steps.numpy()

    return call


SAGAN = Method(create_state, make_game_call)


class Ends(NamedTuple):
    """What ends training: its plan, and signals, which every attempt after a rollback hears."""

    planned: EndTraining
    signals: Preemption


def train_from(
    training: Training, method: Method, restored: Restored, ends: Ends, notes: Sequence[str]
) -> None:
    """Trains from a restored checkpoint until one of `ends`; shows the user `notes` first.

    Raises:
        NotFinite: if a loss, a gradient or a weight is non-finite.
    """
    with contextlib.ExitStack() as stack:
        records, say = None, say_line
        if training.cluster.is_chief:
            total = None if ends.planned.total_minutes else ends.planned.total_steps
            records = Records(training.directory, restored.step, total)
            stack.callback(records.close)
            say = records.progress.say
        ends.signals.say = say
        for note in notes:
            say(note)
        if ends.planned.is_over(restored.step):
            return
        say("compiling the first step")
        actions = make_actions(training, method, restored, ends, records)
        call = method.make_train_call(training)
        Trainer(call, actions, training.config.steps_per_call).train(restored.step)


def make_actions(training, method, restored, ends, records) -> list[Action]:
    """The actions of this process in their order; saving a checkpoint is the last.

    Workers other than the chief have no `records`; there, plain actions replace those that write.
    """
    config, cluster = training.config, training.cluster
    score_every = config.eval_every or config.checkpoint_every
    log, samples = Action(config.log_every), Action(config.sample_every)
    score = save = None
    check = training.state.check_finite
    if records:
        sample, count = training.state.make_sampler(), training.best_score.count
        fakes = FixedFakes(sample, count, config.seed, config.z_dim, config.num_classes)
        gauges = make_gauges(training, records, fakes)
        log = Log(config.log_every, records, ends.planned, gauges, config.batch_size)
        log.resume(restored.partial_record)
        real, adaptive = training.prepared.images, training.state.adaptive
        augmented = make_augmented(config, adaptive, real, fakes.some)
        samples = WriteSamples(config.sample_every, records, fakes, augmented)
        score = make_score(training, records, fakes) if method.keeps_best else None
        save = make_save(training, log, restored.step)
    return [
        Profile(config.profile_range, records and training.directory.tensorboard),
        CheckHealth(),
        ends.planned,
        log,
        samples,
        OnChief(cluster, score_every, check, score),
        StopOnSignal(ends.signals),
        OnChief(cluster, config.checkpoint_every, check, save),
    ]


def make_score(training: Training, records: Records, fakes: FixedFakes) -> Score:
    """The action that scores checkpoints; it starts from the last recorded diversity."""
    config, best = training.config, training.best_score
    collapsed = training.directory.last_row("scores.jsonl").get("diversity", 1.0) < LEAST
    watch = CollapseWatch(training.prepared, fakes.grid_labels, config.num_classes, collapsed)
    measures = {best.name: lambda images, labels: best.score(images)}
    if config.is_symmetry:
        measures[f"coherence{best.count}"] = coherence
    return Score(records, fakes, measures, watch, training.checkpoints.save_best)


def make_save(training: Training, log: Log, start: int) -> SaveCheckpoint:
    """The action that writes checkpoints and replaces the one that a signal left at `start`."""
    directory, save = training.directory, training.checkpoints.save
    is_temporary = directory.read_stop(start) and start % training.config.checkpoint_every
    return SaveCheckpoint(save, log.partial_record, directory, start if is_temporary else None)


def make_gauges(training: Training, records: Records, fakes: FixedFakes) -> Gauges:
    """What the log records of the state; with `holdout`, overfitting too."""
    config, watch = training.config, None
    if config.holdout:
        parts = hold_out(training.prepared, config.holdout)
        last = training.directory.last_row("train.jsonl")
        discriminator = training.state.discriminator
        watch = OverfittingWatch(discriminator, *parts, fakes.some, was_overfitted(last))
    return Gauges(training.state, config.lr_decay != "none", watch, records.progress.say)
