"""Images that change after they were prepared."""

import dataclasses
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from images import encoded, fill, noise, prepare_config

from keras_sagan.config import Config
from keras_sagan.data import decode_process, stamps
from keras_sagan.data import folder as folder_sets
from keras_sagan.data.stamps import read_recorded
from keras_sagan.data.versions import list_versions, remove_versions
from keras_sagan.errors import RunError, UsageError

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "photos", ["a.bmp", "b.bmp", "c.png"])


@pytest.fixture
def config(folder, tmp_path):
    return Config(dataset=f"folder:{folder}", image_size=16, data_dir=str(tmp_path / "data"))


def overwrite(path, seed=99):
    """Writes other pixels to a file, of equal size and with another time."""
    before = path.stat()
    path.write_bytes(encoded(noise(20, 24, seed=seed), "BMP"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    return before.st_size == path.stat().st_size


def change(folder, how):
    if how == "add":
        (folder / "d.png").write_bytes((folder / "c.png").read_bytes())
    elif how == "rename":
        (folder / "b.bmp").rename(folder / "d.bmp")
    elif how == "remove":
        (folder / "b.bmp").unlink()
    elif how == "resize":
        (folder / "b.bmp").write_bytes(encoded(noise(9, 9)))
    elif how == "replace":
        (folder / "new.tmp").write_bytes(encoded(noise(20, 24, seed=9), "BMP"))
        (folder / "new.tmp").replace(folder / "b.bmp")
    else:
        assert overwrite(folder / "b.bmp")


@pytest.fixture(autouse=True)
def bitmaps(folder):
    for i, name in enumerate("ab"):
        (folder / f"{name}.bmp").write_bytes(encoded(noise(20, 24, seed=i), "BMP"))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("add", "1 added, e.g. d.png"),
        ("rename", "1 added, e.g. d.bmp; 1 removed, e.g. b.bmp"),
        ("remove", "1 removed, e.g. b.bmp"),
        ("resize", "1 changed, e.g. b.bmp"),
        ("replace", "1 changed, e.g. b.bmp"),
        ("overwrite", "1 changed, e.g. b.bmp"),
    ],
)
def test_every_change_is_seen_and_said(how, said, folder, config):
    old = prepare_config(config)
    before = np.array(old.images)
    change(folder, how)
    with pytest.raises(UsageError, match=rf"python -m keras_sagan.prepare .* Received: {said}"):
        prepare_config(config)
    new = prepare_config(config, renew=True)
    assert new.record["sha256"] != old.record["sha256"] or how in ("rename", "add")
    np.testing.assert_array_equal(old.images, before)  # Runs that began with it keep it.
    assert prepare_config(config).directory == new.directory != old.directory


@pytest.mark.parametrize("how", ["touch", "same content", "another file", "folder of the time"])
def test_what_does_not_change_images_changes_nothing(how, folder, config):
    before = prepare_config(config).directory
    recorded = (before / stamps.NAME).read_bytes()
    if how == "touch":
        os.utime(folder / "a.bmp")
    elif how == "same content":
        (folder / "a.bmp").write_bytes((folder / "a.bmp").read_bytes())
    elif how == "another file":
        (folder / "notes.txt").write_text("")
    else:
        os.utime(folder)
    assert prepare_config(config).directory == before
    assert recorded != (before / stamps.NAME).read_bytes()  # The next check is quick.
    assert read_recorded(before).looks_current(folder)


def test_other_splits_may_change(tmp_path):
    folder = fill(tmp_path / "set", ["train/a.png", "train/b.png", "val/c.png"])
    config = Config(dataset=f"folder:{folder}", image_size=16, data_dir=str(tmp_path))
    before = prepare_config(config).directory
    fill(folder, ["val/d.png"])
    assert prepare_config(config).directory == before
    assert prepare_config(config, renew=True).directory == before
    assert len(list_versions(config.image_set, before.parent)) == 1


def test_a_start_looks_at_folders_and_at_some_files(folder, config, monkeypatch):
    fill(folder, [f"{i}.png" for i in range(40)])
    prepare_config(config)
    looked_at, stat = [], pathlib.Path.stat

    def count(path, **options):
        looked_at.extend([path] if path.parent == folder else [])
        return stat(path, **options)

    monkeypatch.setattr(pathlib.Path, "stat", count)
    monkeypatch.setattr(stamps, "LOOKED_AT", 10)
    monkeypatch.setattr(folder_sets, "list_folder", None)
    prepare_config(config)
    assert 5 <= len(looked_at) <= 10


def test_a_folder_that_grows_and_shrinks_is_prepared_twice(folder, config):
    first = prepare_config(config).directory
    change(folder, "add")
    second = prepare_config(config, renew=True).directory
    (folder / "d.png").unlink()
    assert prepare_config(config).directory == first
    assert list_versions(config.image_set, first.parent) == [second, first]
    ((removed, size),) = remove_versions(config.image_set, first)
    assert removed == second
    assert size > 4 * 16 * 16 * 3
    assert list(first.parent.glob("photos-*")) == [first]
    assert prepare_config(config).directory == first


def test_without_the_folder_the_latest_version_stands_for_it(folder, config):
    prepare_config(config)
    change(folder, "add")
    latest = prepare_config(config, renew=True).directory
    shutil.rmtree(folder)
    assert prepare_config(config).directory == latest


def test_what_prepare_finds_is_said(folder, config, capfd):
    prepare_config(config)
    change(folder, "add")
    prepare_config(config, renew=True)
    assert "has changed since it was prepared: 1 added, e.g. d.png" in capfd.readouterr().err
    shutil.rmtree(folder)
    directory = prepare_config(config, renew=True).directory
    assert f"note: {config.dataset} is gone: {directory} stands for it" in capfd.readouterr().err


def test_a_file_that_can_be_read_at_last_is_prepared(folder, config, monkeypatch):
    config = dataclasses.replace(config, max_bad_fraction=0.5)
    opened = decode_process.open_payload

    def refuse(path):
        if str(path).endswith("b.bmp"):
            raise PermissionError(13, "Permission denied")
        return opened(path)

    with monkeypatch.context() as patch:
        patch.setattr(decode_process, "open_payload", refuse)
        patch.setattr(stamps, "hash_file", lambda path: None)
        before = prepare_config(config)
        assert prepare_config(config, renew=True).directory == before.directory
    assert before.record["left_out"][0]["name"] == "b.bmp"
    after = prepare_config(config, renew=True)
    assert after.record["count"] == 3
    assert prepare_config(config).directory == after.directory


def test_other_content_may_have_the_times_of_before(folder, config):
    time = (folder / "b.bmp").stat().st_mtime_ns
    first = prepare_config(config).directory
    os.utime(folder / "b.bmp")
    assert prepare_config(config).directory == first
    overwrite(folder / "b.bmp")
    os.utime(folder / "b.bmp", ns=(time, time))
    second = prepare_config(config, renew=True).directory
    assert second.name == f"{first.name}-2"
    assert list_versions(config.image_set, first.parent) == [second, first]
    assert prepare_config(config).directory == second


def test_a_set_of_an_earlier_version_is_prepared_again_without_a_word(folder, config):
    before = prepare_config(config).directory
    (before / stamps.NAME).unlink()
    old = before.rename(before.with_name(before.name[:-8] + "00000000"))
    assert prepare_config(config).directory == before
    assert old.exists()


def test_a_broken_record_is_one_line(config):
    directory = prepare_config(config).directory
    (directory / stamps.NAME).write_text(json.dumps({"files": []}))
    with pytest.raises(RunError, match=f"{directory} cannot be read; remove it to prepare it"):
        prepare_config(config)


def test_a_record_that_cannot_be_updated_is_left(folder, config, monkeypatch):
    before = prepare_config(config).directory

    def refuse(*_):
        raise OSError("read-only")

    monkeypatch.setattr(stamps, "write_atomically", refuse)
    os.utime(folder / "a.bmp")
    for _ in range(2):
        assert prepare_config(config).directory == before


def test_other_preprocessing_is_another_set(config):
    first = prepare_config(config).directory
    for changes in ({"fit": "pad"}, {"image_size": 32}, {"background": "black"}):
        other = prepare_config(dataclasses.replace(config, **changes)).directory
        assert other.name.partition("-")[0] == "photos"
        assert other != first


def test_files_are_listed_once_if_nothing_was_prepared_before(folder, config, monkeypatch):
    listed, list_folder = [], folder_sets.list_folder
    monkeypatch.setattr(
        folder_sets, "list_folder", lambda top: listed.append(1) or list_folder(top)
    )
    counts = []
    for renew in (False, False, True):
        prepare_config(config, renew=renew)
        counts.append(len(listed))
    assert counts == [1, 1, 2]
