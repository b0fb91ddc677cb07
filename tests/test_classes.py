"""Labels as users give them, and the lines that show names of classes."""

import unicodedata

import pytest
from absl import flags

from keras_sagan.classes import describe_classes, find_class, parse_labels
from keras_sagan.errors import UsageError

NAMES = ["cats", "guinea pigs", "black, white", 'the "best"', "Käfer", "\N{CAT FACE}", "猫", "-1"]
TWELVE = [*map(str, range(12))]
MANY = [f"class {i}" for i in range(100)]


def split(text):
    """The parts into which the flag `--labels` splits a text."""
    values = flags.FlagValues()
    flags.DEFINE_list("labels", None, "", flag_values=values)
    values(["sample", f"--labels={text}"])
    return values.labels


def parse(text, names):
    return parse_labels("--labels", split(text), len(names or [0, 1]), names)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("cats", [0]),
        ("0,guinea pigs, cats", [0, 1, 0]),
        ('"black, white",1', [2, 1]),
        ('"the ""best"""', [3]),
        ('the "best"', [3]),
        ("Käfer,\N{CAT FACE},猫,-1", [4, 5, 6, 7]),
        ("CATS, Guinea  Pigs", [0, 1]),
        (unicodedata.normalize("NFD", "KÄFER"), [4]),
        ("7,007", [7, 7]),
    ],
)
def test_labels_are_numbers_or_names(text, labels):
    assert parse(text, NAMES) == labels


def test_numbers_are_labels_whatever_the_classes_are_called():
    assert parse("2,10", TWELVE) == [2, 10]
    assert parse("0,1", ["1", "0"]) == [0, 1]
    assert parse("0,1", None) == [0, 1]


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        ("cat", ["cats", "dogs"], "0...1 or names of classes: cats, dogs. Received: cat"),
        ("2", ["cats", "dogs"], "0...1 or names of classes: cats, dogs. Received: 2"),
        ("", ["cats", "dogs"], "0...1 or names of classes: cats, dogs. Received: "),
        ("cats,", ["cats", "dogs"], "0...1 or names of classes: cats, dogs. Received: "),
        ("9" * 5000, ["cats"], f"0...0 or names of classes: cats. Received: {'9' * 5000}"),
        ("12", TWELVE, "0...11. Received: 12"),
        ("two", TWELVE, "0...11. Received: two"),
        ("10", ["10", "20"], "0...1 (a class named 10 has label 0). Received: 10"),
        ("20", ["a", "20"], "0...1 (a class named 20 has label 1) or names of classes: a. Rec"),
        (
            "a",
            ["a", "b", "a"],
            "0...2 (a class named a has label 0 or 2) or names of classes: a",
        ),
        ("x", NAMES, '0...7 or names of classes: cats, guinea pigs, "black, white", "the ""best'),
        ("2", None, "0...1. Received: 2"),
        ("cats", None, "0...1, because the names of the classes are unknown: the run's prepared"),
    ],
)
def test_what_is_no_class_is_refused_with_the_names(text, names, message):
    with pytest.raises(UsageError) as caught:
        parse(text, names)
    assert str(caught.value).startswith(f"--labels must be numbers in {message}")


def test_of_many_names_an_error_lists_twenty_and_close_ones():
    with pytest.raises(UsageError) as caught:
        parse("clas 57", MANY)
    text = str(caught.value)
    assert "class 18, class 19 and 80 more; the closest are class 57, " in text
    assert "class 20," not in text


def test_names_that_differ_in_case_alone_are_found_as_they_are_written():
    names = ["Cats", "cats", "dogs", "Dogs "]
    assert [find_class(name, names) for name in ("Cats", "cats", "Dogs ")] == [0, 1, 3]
    assert find_class("CATS", names) is None
    assert find_class("a", ["a", "a"]) is None
    assert find_class("STRASSE", ["Straße"]) == 0
    composed = ["É", "é"]
    assert find_class(unicodedata.normalize("NFD", "é"), composed) == 1


def test_the_classes_are_shown_on_one_line():
    assert describe_classes(["cats", "dogs"], [1200, 98]) == "classes: 0 cats (1,200), 1 dogs (98)"
    assert describe_classes(TWELVE[:3]) == "classes: 0, 1, 2"
    assert describe_classes(["1", "a,b", "new\nline", "\x1b[31mred"]) == (
        'classes: 0 "1", 1 "a,b", 2 new line, 3 [31mred'
    )
    text = describe_classes(MANY, range(100))
    assert text.endswith(", 19 class 19 (19) and 80 more")


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_name_is_found_as_it_is_shown(name):
    shown = describe_classes([name]).removeprefix("classes: 0 ")
    assert parse(shown, NAMES) == [NAMES.index(name)]
