"""The outer loop: where calls end, who acts, and what ends a run."""

import pytest

from keras_sagan.devices.cluster import Cluster
from keras_sagan.errors import NotFinite, RunError
from keras_sagan.training.actions import CheckHealth, EndTraining, OnChief, StopOnSignal
from keras_sagan.training.health import NEVER
from keras_sagan.training.trainer import Action, Trainer

GOOD = {"d_loss": 1.0, "g_loss": 1.0}


class Noted(Action):
    """Notes what happens to it."""

    def __init__(self, every, seen, fails_at=None):
        super().__init__(every)
        self.seen, self.fails_at = seen, fails_at

    def begin(self, step):
        self.seen.append(("begin", step))

    def act(self, call):
        if call.step == self.fails_at:
            raise RunError("failed")
        if self.is_due(call):
            self.seen.append(("act", call.step))

    def close(self):
        self.seen.append(("close",))


def trained(actions, steps_per_call=10, start=0, last=23):
    """Lengths of the calls of a training."""
    calls = []

    def call(num_steps):
        calls.append(num_steps)
        return GOOD, [NEVER, NEVER]

    end = EndTraining(last, 0.0, 0.0, Cluster())
    Trainer(call, [end, *actions], steps_per_call).train(start)
    return calls


def test_calls_end_where_an_action_wants_to_stand():
    assert trained([]) == [10, 10, 3]
    assert trained([Action(7)]) == [7, 7, 7, 2]
    assert trained([Action(7), Action(5)], steps_per_call=4) == [4, 1, 2, 3, 4, 1, 4, 1, 1, 2]
    assert trained([Action(7)], start=6) == [1, 7, 7, 2]


def test_actions_begin_act_when_due_and_close():
    seen = []
    trained([Noted(10, seen)], start=5)
    assert seen == [("begin", 5), ("act", 10), ("act", 20), ("act", 23), ("close",)]


def test_actions_close_in_reverse_when_one_fails():
    seen = []
    with pytest.raises(RunError, match="failed"):
        trained([Noted(10, seen, fails_at=20), Noted(0, seen)])
    assert seen == [("begin", 0), ("begin", 0), ("act", 10), ("close",), ("close",)]


def test_chief_acts_for_all_and_other_workers_only_wait():
    seen = []
    assert trained([OnChief(Cluster(), 10, lambda: None, Noted(10, seen))]) == [10, 10, 3]
    assert seen == [("act", 10), ("act", 20), ("act", 23)]
    assert trained([OnChief(Cluster(), 10, lambda: None, None)]) == [10, 10, 3]


def test_a_signal_ends_a_run_with_what_stands_behind_it():
    """A checkpoint is written at once, a record only when it is due."""

    class Signals:
        def received_signal(self):
            return "SIGTERM"

    seen, records = [], []
    save = OnChief(Cluster(), 10, lambda: None, Noted(10, seen))
    assert trained([Noted(10, records), StopOnSignal(Signals()), save], steps_per_call=7) == [7]
    assert seen == [("act", 7)]
    assert records == [("begin", 0), ("close",)]


def test_time_ends_a_run_and_counts_earlier_processes():
    def call(num_steps):
        return GOOD, None

    end = EndTraining(10**9, 1.0, 59.9999999, Cluster())
    calls = []
    Trainer(lambda n: calls.append(n) or call(n), [end], 1).train(0)
    assert end.seconds >= 60
    assert calls
    assert end.is_over(0)
    assert not EndTraining(10, 0.0, 1e9, Cluster()).is_over(9)


def test_bad_numbers_end_a_run_before_anything_is_written():
    seen = []
    actions = [EndTraining(9, 0.0, 0.0, Cluster()), CheckHealth(), Noted(1, seen)]
    bad = {"d_loss": float("nan"), "g_loss": 1.0}
    with pytest.raises(NotFinite, match="d_loss=nan of the discriminator, first at step 1"):
        Trainer(lambda n: (bad, [1, NEVER]), actions, 3).train(0)
    assert seen == [("begin", 0), ("close",)]
