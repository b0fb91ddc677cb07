"""Values of flags: one grammar each, parsed once."""

import pathlib

import pytest

from keras_sagan.errors import UsageError
from keras_sagan.values import CheckpointChoice, DatasetName, ExtractorChoice, profile_range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("newest", ("newest",)),
        ("all", ("all",)),
        ("500", (500,)),
        ("500, 1000,best", (500, 1000, "best")),
    ],
)
def test_checkpoints(text, expected):
    choice = CheckpointChoice.parse(text)
    assert choice.parts == expected
    assert choice.is_one == (len(expected) == 1 and expected != ("all",))
    assert CheckpointChoice.parse(str(choice)) == choice


@pytest.mark.parametrize(
    ("text", "several"),
    [
        *((text, True) for text in ("", "oldest", "-1", "1,", "²", "1.5")),
        ("all", False),
        ("1,2", False),
    ],
)
def test_other_checkpoints_are_refused(text, several):
    words = "newest, best, all, or steps" if several else "newest, best or a step"
    with pytest.raises(UsageError, match=rf"--checkpoint must be {words}.*\. Received: {text}$"):
        CheckpointChoice.parse(text, several)


def test_folders_are_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert DatasetName.parse("folder:a/../b").path == tmp_path / "b"
    assert DatasetName.parse("folder:~/c").path == pathlib.Path(tmp_path / "home" / "c")
    assert DatasetName.parse("folder:a:b").path == tmp_path / "a:b"


@pytest.mark.parametrize(
    ("text", "kind", "numbers"),
    [
        ("digits", "digits", (0, 0)),
        ("synthetic", "synthetic", (0, 0)),
        ("symmetry", "symmetry", (10_000, 0)),
        ("symmetry:200", "symmetry", (200, 0)),
        ("symmetry:200:7", "symmetry", (200, 7)),
        ("cifar10", "tfds", (0, 0)),
        ("oxford_flowers102:2.1.1", "tfds", (0, 0)),
    ],
)
def test_names_of_sets(text, kind, numbers):
    name = DatasetName.parse(text)
    assert (name.text, name.kind, (name.count, name.seed)) == (text, kind, numbers)


@pytest.mark.parametrize(
    "text", ["folder:", "symmetry:", "symmetry:3", "symmetry:x", "symmetry:9:9:9", "symmetry:-4"]
)
def test_impossible_sets_are_refused(text):
    with pytest.raises(UsageError, match=f"dataset must be .* Received: {text}$"):
        DatasetName.parse(text)


def test_extractors():
    for kind in ("auto", "classifier", "rotation"):
        assert ExtractorChoice.parse(kind) == ExtractorChoice(kind)
    choice = ExtractorChoice.parse("inception:https://host/a:b")
    assert (choice.kind, choice.path) == ("inception", "https://host/a:b")
    assert str(choice) == "inception:https://host/a:b"


@pytest.mark.parametrize(("num_classes", "kind"), [(1, "rotation"), (2, "classifier")])
def test_the_number_of_classes_decides_what_auto_is(num_classes, kind):
    assert ExtractorChoice("auto").resolve(num_classes) == ExtractorChoice(kind)
    for named in ("classifier", "rotation", "inception:a"):
        choice = ExtractorChoice.parse(named)
        assert choice.resolve(num_classes) is choice


@pytest.mark.parametrize(
    "text", ["", "inception", "inception:", "classifier:a", "auto:a", "rotation:90", "resnet:a"]
)
def test_other_extractors_are_refused(text):
    with pytest.raises(UsageError, match=f"rotation or inception:PATH. Received: {text}$"):
        ExtractorChoice.parse(text)


def test_steps_to_profile():
    assert profile_range("") is None
    assert profile_range("20,25") == (20, 25)
