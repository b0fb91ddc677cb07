"""The processes that share the work of one run: how they agree.

They must run the same calls in the same order, or they wait for each other forever. So what depends
on files or clocks is decided once, by the first of them, the chief, which alone writes files; what
depends on signals they add up.
"""

import contextlib
import itertools
import json
import re
import sys

import tensorflow as tf
from tensorflow.python.eager import context  # The coordination service has no public name.

from keras_sagan import errors

# Of words and meetings. Each process counts its own, and all count alike.
NUMBERS = itertools.count()
# Milliseconds: between two looks for a word, when signals are seen, too; and of a meeting.
LOOK, MEETING = 1000, 60_000
# In what TensorFlow raises when another process ends, whatever this one was waiting for.
SIGNS_OF_LOSS = ("Collective ops is aborted", "CoordinationService", "WorkerService", "CONNECTED")


class Cluster:
    """All processes under one strategy, seen from one of them. Mostly there is no other.

    Args:
        strategy: `tf.distribute.Strategy`. None: this process is alone.

    Attributes:
        size: int, processes.
        is_chief: bool.
    """

    def __init__(self, strategy=None):
        self.strategy = strategy or tf.distribute.get_strategy()
        resolver = self.strategy.cluster_resolver
        self.size = len(addresses(resolver.cluster_spec())) if resolver else 1
        self.is_chief = self.strategy.extended.should_checkpoint

    def word(self, value=None, doing=None):
        """The chief's `value`, which JSON can hold, in every process; those of the others are lost.

        Args:
            value: what the chief says.
            doing: str, what the chief does until then, for those that wait long.
        """
        if self.size == 1:
            return value
        key = f"word/{next(NUMBERS)}"
        if self.is_chief:
            context.context().set_config_key_value(key, json.dumps(value))
            return value
        while True:
            with contextlib.suppress(tf.errors.DeadlineExceededError):
                return json.loads(context.context().get_config_key_value(key, LOOK))
            if doing:
                sys.stderr.write(f"waiting: the chief {doing}\n")
                doing = None

    def chief(self, function, doing=None):
        """What `function()` returns to the chief, None to the others, when it has returned.

        Raises:
            UsageError, RunError: in every process, if it raises them in the chief.
        """
        value = error = None
        if self.is_chief:
            try:
                value = function()
            except (errors.UsageError, errors.RunError) as raised:
                error = raised
        told = self.word(error and [type(error).__name__, str(error), vars(error)], doing)
        if told:
            name, message, others = told
            self.meet()  # The chief may end now, and what it said with it.
            raise error or getattr(errors, name)(message, **others)
        return value

    def anywhere(self, flags):
        """Whether each of the bools `flags` holds in some process; the same list in all."""
        if self.size == 1:
            return list(flags)
        return [bool(count) for count in total(self.strategy, tf.constant(flags, tf.float32))]

    def meet(self):
        """Waits until all are here; not for one that has died, which had nothing more to do."""
        if self.size > 1:
            with contextlib.suppress(tf.errors.OpError):
                context.context().wait_at_barrier(f"meeting/{next(NUMBERS)}", MEETING)

    @contextlib.contextmanager
    def together(self):
        """Inside, all do one piece of work, and leave when the chief has ended it.

        Raises:
            RunError: if another process is lost.
        """
        try:
            yield
            self.word()
            self.meet()
        except tf.errors.OpError as error:
            if self.size == 1 or not any(sign in str(error) for sign in SIGNS_OF_LOSS):
                raise
            raise errors.RunError(
                f"{self.culprit(error)} has ended or cannot be reached: start all workers again "
                "with the same command, and training goes on from its newest checkpoint"
            ) from error

    def culprit(self, error):
        """The other process that TensorFlow names in an error, in words."""
        resolver = self.strategy.cluster_resolver
        own = resolver.task_type, str(resolver.task_id)
        named = re.findall(r"/job:(\w+)/(?:replica:0/)?task:(\d+)", str(error))
        return next((" ".join(task) for task in named if task != own), "another worker")


@tf.function
def total(strategy, values):
    """The sum of `values`, a tensor, over all replicas of all processes."""
    mine = strategy.run(lambda: tf.identity(values))
    return strategy.reduce("SUM", mine, axis=None)


def addresses(spec):
    """Of a `ClusterSpec`: `host:port` of each process, the chief's first."""
    tasks = spec.as_dict()
    return [*tasks.get("chief", []), *tasks.get("worker", [])]
