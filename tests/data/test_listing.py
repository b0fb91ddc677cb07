"""Files and folders that cannot be read, odd names, and which split is meant."""

import errno
import os

import pytest
from images import fill, prepare_config

from keras_sagan.config import Config
from keras_sagan.data.report import describe_set
from keras_sagan.errors import RunError, UsageError
from keras_sagan.preprocessing import Preprocessing

pytestmark = pytest.mark.usefixtures("in_process")


def settings(folder, tmp_path, **changes):
    return Config(
        dataset=f"folder:{folder}", image_size=16, data_dir=str(tmp_path / "data"), **changes
    )


def lines_of(prepared):
    return describe_set(prepared.record, Preprocessing(16, 3))


@pytest.mark.parametrize("name", ["c.png", "dogs"])
def test_a_link_to_itself_is_left_out_by_name(name, tmp_path):
    top = fill(tmp_path / "pets", ["cats/a.png", "cats/b.png"])
    place = top / "cats" / name if "." in name else top / name
    place.symlink_to(place.name)
    if name == "dogs":
        with pytest.raises(UsageError, match=r"images: dogs; unreadable: dogs/ \(broken link"):
            prepare_config(settings(top, tmp_path))
        return
    with pytest.raises(RunError, match=r"1 of 3: cats/c.png \(broken link to "):
        prepare_config(settings(top, tmp_path))


@pytest.mark.parametrize("kind", ["pipe", "no permission"])
def test_a_file_that_cannot_be_looked_at_is_no_class(kind, tmp_path, monkeypatch):
    top = fill(tmp_path / "pets", ["cats/a.png", "dogs/b.png"])
    if kind == "pipe":
        os.mkfifo(top / "README")
    else:
        (top / "README").write_text("")

        def refuse(_):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr("keras_sagan.data.listing.read_head", refuse)
    prepared = prepare_config(settings(top, tmp_path, max_bad_fraction=0.5))
    assert prepared.record["classes"] == ["cats", "dogs"]
    assert [row["name"] for row in prepared.record["left_out"]] == ["README"]


def test_a_folder_of_nothing_but_links_to_nothing_says_so(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        (tmp_path / "photos" / f"{i}.png").symlink_to("gone")
    with pytest.raises(RunError, match=r"3 of 3: .*\(broken link to gone\)"):
        prepare_config(settings(tmp_path / "photos", tmp_path))


def test_what_is_unreadable_in_another_split_does_not_matter(tmp_path):
    top = fill(tmp_path / "set", ["train/a.png", "train/b.png", "val/c.png"])
    (top / "val" / "d.png").symlink_to("gone")
    prepared = prepare_config(settings(top, tmp_path))
    assert (prepared.record["count"], prepared.record["left_out"]) == (2, [])
    with pytest.raises(RunError, match="1 of 2: val/d.png"):
        prepare_config(settings(top, tmp_path, split="val"))


def test_a_split_that_cannot_be_read_is_named(tmp_path):
    top = fill(tmp_path / "set", ["val/c.png"])
    (top / "train").symlink_to("gone")
    with pytest.raises(UsageError, match=r"split=train; unreadable: train/ \(broken link to"):
        prepare_config(settings(top, tmp_path))


@pytest.mark.parametrize(
    ("split", "count"), [("val", 2), ("dev", 3), ("validation", 5), ("val+dev", 5)]
)
def test_the_split_of_the_very_name_comes_first(split, count, tmp_path):
    names = [f"val/{i}.png" for i in range(2)] + [f"dev/{i}.png" for i in range(3)]
    top = fill(tmp_path / "set", names)
    assert prepare_config(settings(top, tmp_path, split=split)).record["count"] == count


def test_odd_names_stay_on_one_line(tmp_path, capfd):
    top = fill(tmp_path / "photos", ["a.png", "b.png"])
    for name in ("\n\x1b[2J.png", "c.d\ne"):
        (top / name).write_bytes(b"")
    prepared = prepare_config(settings(top, tmp_path, max_bad_fraction=0.5))
    said = "\n".join(lines_of(prepared))
    assert len(said.splitlines()) == len(lines_of(prepared))
    assert "\x1b" not in said + capfd.readouterr().err
    assert "1 .d e" in said


def test_many_endings_are_summed_up(tmp_path):
    top = fill(tmp_path / "photos", ["a.png", "b.png"])
    for i in range(100):
        (top / f"frame.{i:03}").write_bytes(b"")
    (top / "notes.txt").write_text("")
    (top / "more.txt").write_text("")
    (line,) = [line for line in lines_of(prepare_config(settings(top, tmp_path))) if "over" in line]
    assert line.startswith("passed over: 2 .txt, 1 .0")
    assert line.endswith("and 81 more")
