"""The processes that share the work of one run, and how they reach agreement.

They must make the same calls in the same order, or they wait for each other forever. So one of
them, the chief, decides whatever depends on files or clocks, and only it writes files. All
processes together decide what depends on signals.
"""

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context  # The coordination service has no public name.

from keras_sagan import errors
from keras_sagan.progress import say_line

# Milliseconds between two polls for a broadcast, which also let signals in; limit of a barrier.
POLL, BARRIER = 1000, 60_000
# Parts of TensorFlow's messages when another process ends, whatever this one was waiting for.
LOSS_MESSAGES = ("Collective ops is aborted", "CoordinationService", "WorkerService", "CONNECTED")


class Cluster:
    """All processes under one strategy, as seen from one of them. Usually there is only one.

    Create one per process: it numbers the names of broadcasts and barriers, which must not
    repeat.

    Attributes:
        strategy: of all processes. None: TensorFlow's default, with this process alone.
        size: number of processes.
        is_chief: whether this process writes the files.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        resolver = self.strategy.cluster_resolver
        self.size = len(task_addresses(resolver.cluster_spec())) if resolver else 1
        self.is_chief = self.strategy.extended.should_checkpoint
        self.numbers = itertools.count()

    def broadcast(self, value: Any = None, doing: str | None = None) -> Any:
        """Broadcasts the chief's JSON-serializable `value`; other processes' values are ignored.

        A process that waits for long tells its user what the chief is `doing`.
        """
        if self.size == 1:
            return value
        key = f"broadcast/{next(self.numbers)}"
        if self.is_chief:
            coordination_service().set_config_key_value(key, json.dumps(value))
            return value
        while True:
            with contextlib.suppress(tf.errors.DeadlineExceededError):
                return json.loads(coordination_service().get_config_key_value(key, POLL))
            if doing:
                say_line(f"waiting: the chief {doing}")
                doing = None

    def run_on_chief(self, function: Callable[[], Any], doing: str | None = None) -> Any:
        """Calls `function` on the chief; all processes continue when it has returned.

        Returns its result on the chief, and None elsewhere.

        Raises:
            UsageError, RunError: in every process, if the chief's call raises them.
        """
        value = error = None
        if self.is_chief:
            try:
                value = function()
            except (errors.UsageError, errors.RunError) as raised:
                error = raised
        failure = self.broadcast(error and [type(error).__name__, str(error), vars(error)], doing)
        if failure:
            name, message, attributes = failure
            self.barrier()  # The chief's broadcast ends with its process.
            raise error or getattr(errors, name)(message, **attributes)
        return value

    def decide(self, function: Callable[[], Any], doing: str | None = None) -> Any:
        """The JSON-serializable result of `function` on the chief, in every process.

        Raises:
            UsageError, RunError: in every process, if the chief's call raises them.
        """
        return self.broadcast(self.run_on_chief(function, doing))

    def fail_together(self, function: Callable[[], Any], what: str) -> Any:
        """Calls `function` in every process; returns its result, which may differ between them.

        Raises:
            RunError: in every process, if one raises it; elsewhere its message names `what`.
        """
        value = failure = None
        try:
            value = function()
        except errors.RunError as error:
            failure = error
        if any(self.any_process([failure is not None])):
            raise failure or errors.RunError(f"{what} cannot be read by another process")
        return value

    def any_process(self, flags: Sequence[bool]) -> list[bool]:
        """For each of `flags`, whether it is true in any process; the same list in all."""
        if self.size == 1:
            return list(flags)
        counts = sum_over_replicas(self.strategy, tf.constant(flags, tf.float32))
        return [bool(count) for count in counts]

    def barrier(self) -> None:
        """Waits until all processes are here; stops waiting if one has died."""
        if self.size > 1:
            with contextlib.suppress(tf.errors.OpError):
                coordination_service().wait_at_barrier(f"barrier/{next(self.numbers)}", BARRIER)

    @contextlib.contextmanager
    def stay_together(self) -> Iterator[None]:
        """Wraps work of all processes, so that none leaves before the chief has finished.

        Raises:
            RunError: if another process is lost.
        """
        try:
            yield
            self.broadcast()
            self.barrier()
        except tf.errors.OpError as error:
            if self.size == 1 or not any(each in str(error) for each in LOSS_MESSAGES):
                raise
            raise errors.RunError(
                f"{self.lost_process(error)} has ended or cannot be reached: start all workers "
                "again with the same command, and training resumes from its newest checkpoint"
            ) from error

    def lost_process(self, error: tf.errors.OpError) -> str:
        """The other process that TensorFlow names in an error message."""
        resolver = self.strategy.cluster_resolver
        own = resolver.task_type, str(resolver.task_id)
        named = re.findall(r"/job:(\w+)/(?:replica:0/)?task:(\d+)", str(error))
        return next((" ".join(task) for task in named if task != own), "another worker")


def coordination_service() -> Any:
    """The service through which TensorFlow's processes communicate."""
    return context.context()


@tf.function
def sum_over_replicas(strategy, values):
    """The sum of `values`, a tensor, over all replicas of all processes."""
    return strategy.reduce("SUM", strategy.run(lambda: tf.identity(values)), axis=None)


def task_addresses(spec: tf.train.ClusterSpec) -> list[str]:
    """`host:port` of each process, the chief's first."""
    tasks = spec.as_dict()
    return [*tasks.get("chief", []), *tasks.get("worker", [])]
