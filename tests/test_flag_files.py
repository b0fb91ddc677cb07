"""Flag files in the encodings of editors, nested, and files that are none."""

import codecs

import pytest

from keras_sagan.errors import UsageError
from keras_sagan.flag_files import expand_flag_files
from keras_sagan.packaged import find_recipe

TEXT = "# A comment.\n--seed=1\n\n  --dataset=folder:ü 猫  \n// Another.\n--flip\n"
FLAGS = ["--seed=1", "--dataset=folder:ü 猫", "--flip"]


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.replace("\n", "\r\n").encode(),
    ],
    ids=["UTF-8", "UTF-8 with a mark", "UTF-16 LE", "UTF-16 BE", "Windows lines"],
)
@pytest.mark.parametrize("form", ["--flagfile={}", "-flagfile={}", "--flagfile {}"])
def test_a_flag_file_is_read_as_editors_write_it(data, form, tmp_path):
    (tmp_path / "a.flags").write_bytes(data)
    given = ["--seed=0", *form.format(tmp_path / "a.flags").split(" "), "--seed=2"]
    assert list(expand_flag_files(given)) == ["--seed=0", *FLAGS, "--seed=2"]


@pytest.mark.parametrize("first", ["# Größe 猫", "--tfds_dir=ü", "", " // ü"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_first_line_may_have_any_characters(encoding, first, tmp_path):
    (tmp_path / "a.flags").write_text(f"{first}\n--seed=1\n", encoding)
    expanded = list(expand_flag_files([f"--flagfile={tmp_path / 'a.flags'}"]))
    assert expanded == [flag for flag in (first, "--seed=1") if flag.startswith("--")]


def test_files_nest_with_each_other_and_with_recipes(tmp_path):
    (tmp_path / "inner").write_text("--seed=1\n")
    (tmp_path / "outer").write_text(f"--flagfile={tmp_path / 'inner'}\n--recipe=sagan\n--seed=2\n")
    expanded = list(expand_flag_files([f"--flagfile={tmp_path / 'outer'}"]))
    lines = find_recipe("sagan").read_text().splitlines()
    recipe = [line for line in lines if line.startswith("--")]
    assert expanded == ["--seed=1", *recipe, "--seed=2"]
    twice = [f"--flagfile={tmp_path / 'inner'}"] * 2
    assert list(expand_flag_files(twice)) == ["--seed=1"] * 2


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (None, "No such file"),
        (b"--class=caf\xe9\n", "invalid continuation byte"),
        ("--seed=1\n".encode("utf-16-le"), "no text in utf-8"),
        (codecs.BOM_UTF16_LE + b"\x89PNG\r\n", "no text in utf-16"),
        (codecs.BOM_UTF16_BE + b"\0", "truncated data"),
        (b"--seed=1\n--flagfile=a.flags\n", "must not include themselves"),
    ],
)
def test_what_is_no_flag_file_is_named(data, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if data is not None:
        (tmp_path / "a.flags").write_bytes(data)
    with pytest.raises(UsageError, match=part) as raised:
        list(expand_flag_files(["--flagfile=a.flags"]))
    assert "flagfile=a.flags" in str(raised.value)
