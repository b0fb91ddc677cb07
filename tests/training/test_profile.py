"""A profile begins and ends where it should, and holds what was computed meanwhile."""

import math

import pytest
import tensorflow as tf

from keras_sagan.config import Config
from keras_sagan.errors import UsageError
from keras_sagan.training.actions import Profile
from keras_sagan.training.trainer import Call

STEPS = Config(profile_steps="3,5").profile_range


def train(profile, steps):
    """What the trainer does with one step per call, and an operation named after each step."""
    profile.begin(steps.start)
    for step in steps:
        with tf.profiler.experimental.Trace(f"our step {step}"):
            tf.reduce_sum(tf.ones([2])).numpy()
        profile.act(Call(step + 1, 1, {}, None, 0.0))
    profile.close()


def recorded(folder):
    (path,) = folder.glob("plugins/profile/*/*.xplane.pb")
    return [step for step in range(9) if f"our step {step}".encode() in path.read_bytes()]


@pytest.mark.parametrize(("begin", "end", "expected"), [(0, 8, [3, 4]), (4, 8, [4]), (0, 4, [3])])
def test_the_steps_that_were_asked_for_are_recorded(begin, end, expected, tmp_path):
    """Of a run that goes on after the first of them, or ends before the last, the others."""
    train(Profile(STEPS, tmp_path), range(begin, end))
    assert recorded(tmp_path) == expected


def test_calls_end_where_the_profile_begins_and_ends(tmp_path):
    profile = Profile(STEPS, tmp_path)
    assert [profile.next_step(step) for step in (0, 2, 3, 4, 5)] == [3, 3, 5, 5, math.inf]


@pytest.mark.parametrize("steps", [None, STEPS])
def test_nothing_is_recorded_after_the_last_or_without_being_asked(steps, tmp_path):
    train(Profile(steps, tmp_path), range(6, 8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["3", "5,3", "3,3", "-1,2", "a,b", "1,2,3"])
def test_impossible_steps_are_refused(text):
    with pytest.raises(UsageError, match=f"profile_steps must be .* Received: {text}"):
        Config(profile_steps=text)
