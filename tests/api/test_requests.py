"""What a user may ask a generator for, and the one line that refuses the rest."""

import numpy as np
import pytest
import tensorflow as tf

from keras_sagan.api.requests import (
    check_class_names,
    check_labels_and_seeds,
    check_truncation,
    make_config,
)
from keras_sagan.errors import UsageError

NAMES = ["cat", "dog", "eel"]
OTHERS = ["black, white", "Käfer", "\N{CAT FACE}", "10", "2"]


@pytest.mark.parametrize(
    ("labels", "seeds", "expected"),
    [
        ("dog", 5, ([1], [5])),
        (["eel", 0], [7, 8], ([2, 0], [7, 8])),
        ([2, 2], None, ([2, 2], [0, 1])),
        (None, [4, 4, 4, 4], ([0, 1, 2, 0], [4, 4, 4, 4])),
        (None, None, ([0, 1, 2], [0, 1, 2])),
        (1, [1, 2], ([1, 1], [1, 2])),
        ([0, 1], 3, ([0, 1], [3, 3])),
        (np.array([2, 1]), np.array([1, 2]), ([2, 1], [1, 2])),
        (tf.constant([1]), range(2), ([1, 1], [0, 1])),
    ],
)
def test_labels_and_seeds_have_defaults_and_hold_for_each_other(labels, seeds, expected):
    found, of_images = check_labels_and_seeds(labels, seeds, NAMES)
    assert found.dtype == np.int32
    assert (found.tolist(), of_images) == expected


def test_names_are_found_in_other_case_and_a_number_in_a_str_is_a_name():
    given = ["KA\u0308FER", "Black,  white", "\N{CAT FACE}", "2", 2, np.str_("10")]
    labels, _ = check_labels_and_seeds(given, None, OTHERS)
    assert labels.tolist() == [1, 0, 2, 4, 2, 3]
    with pytest.raises(ValueError, match=r"0\.\.\.1: these classes have no other names.*'cat'"):
        check_labels_and_seeds("cat", None, ["0", "1"])


def test_a_model_without_classes_takes_seeds_alone():
    labels, seeds = check_labels_and_seeds(None, [3, 4], [])
    assert (labels.tolist(), seeds) == ([0, 0], [3, 4])
    assert check_labels_and_seeds(None, None, [])[1] == [0]
    with pytest.raises(ValueError, match="model without classes. Received: 1"):
        check_labels_and_seeds(1, None, [])


def test_by_default_there_are_ten_images_at_most():
    assert len(check_labels_and_seeds(None, None, [*map(str, range(1000))])[1]) == 10


@pytest.mark.parametrize(
    ("labels", "seeds", "message"),
    [
        ("cow", None, "names of classes: cat, dog, eel. Received: 'cow'"),
        (3, None, r"labels in 0\.\.\.2. Received: 3"),
        (-1, None, r"labels in 0\.\.\.2. Received: -1"),
        (True, None, "Received: True"),
        (1.0, None, r"Received: 1\.0"),
        (None, -1, r"seeds in 0\.\.\.2147483647. Received: -1"),
        (None, 2**31, "Received: 2147483648"),
        (None, "0", "Received: '0'"),
        ([], None, r"non-empty list of values. Received: \[\]"),
        ([[0], [1]], None, r"list of values. Received: \[\[0\], \[1\]\]"),
        ([0, 1], [1, 2, 3], "Received: 2 labels, 3 seeds"),
    ],
)
def test_what_cannot_be_drawn_is_refused(labels, seeds, message):
    with pytest.raises(ValueError, match=message):
        check_labels_and_seeds(labels, seeds, NAMES)


def test_a_wrong_option_is_named():
    with pytest.raises(UsageError, match=r"did you mean batch_size\? Received: batchsize=8"):
        make_config({"batchsize": 8})
    with pytest.raises(UsageError, match="num_classes of at least 0"):
        make_config({"num_classes": -1})
    with pytest.raises(UsageError, match="image_size must be a power of 2"):
        make_config({"image_size": 33})
    assert make_config({}).num_classes == 0


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "b", "c"]])
def test_class_names_are_one_for_each_class(names):
    with pytest.raises(ValueError, match="2 different class_names"):
        check_class_names(names, 2)


@pytest.mark.parametrize("truncation", [0, -1.0, float("inf"), float("nan")])
def test_truncation_is_positive(truncation):
    with pytest.raises(ValueError, match="positive truncation"):
        check_truncation(truncation)
