"""Files and folders are there whole or not at all, and one process holds a lock."""

import errno
import os

import numpy as np
import pytest

from keras_sagan import files
from keras_sagan.extractors import trained
from keras_sagan.extractors.tasks import CLASSES


class Killed(BaseException):
    """In place of a kill."""


def test_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_atomically(path, "old\n")

    def fail(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(files.pathlib.Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        files.write_atomically(path, b"new")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_utf8_or_bytes(tmp_path):
    files.write_atomically(tmp_path / "text", "ä")
    files.write_atomically(tmp_path / "bytes", b"\xff")
    assert (tmp_path / "text").read_bytes() == "ä".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\xff"


@pytest.mark.parametrize("is_folder", [True, False])
def test_folder_or_file_appears_when_it_is_whole(tmp_path, is_folder):
    final = tmp_path / "final"
    with files.written_whole(final) as path:
        if is_folder:
            path.mkdir()
        (path / "part" if is_folder else path).write_text("a")
        assert not final.exists()
    assert (final / "part" if is_folder else final).read_text() == "a"
    assert list(tmp_path.iterdir()) == [final]


def test_folder_that_fails_leaves_nothing_and_a_kill_leaves_what_is_removed(tmp_path, monkeypatch):
    def write_in_part(error):
        with files.written_whole(tmp_path / "final") as path:
            path.mkdir()
            raise error

    with pytest.raises(OSError, match="broken"):
        write_in_part(OSError("broken"))
    assert not list(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            write_in_part(Killed)
    assert [path.name.startswith(files.UNFINISHED) for path in tmp_path.iterdir()] == [True]
    files.remove_unfinished(tmp_path)
    assert not list(tmp_path.iterdir())


def test_lock_is_held_once_and_says_by_whom(tmp_path):
    with files.locked(tmp_path / "lock") as file:
        file.write("process 7\n")
        file.flush()
        with pytest.raises(BlockingIOError, match="process 7"), files.locked(tmp_path / "lock"):
            pass
    with files.locked(tmp_path / "lock"):
        pass


@pytest.mark.slow_except("EPERM")
@pytest.mark.parametrize("name", ["EPERM", "ENOTSUP", "ENOSYS"])
def test_a_trained_classifier_is_kept_where_there_are_no_links(name, tmp_path, monkeypatch):
    """As on exFAT and some file systems of FUSE."""

    def refuse(*_, **__):
        raise OSError(getattr(errno, name), "not here")

    for function in ("link", "symlink"):
        monkeypatch.setattr(os, function, refuse)
    monkeypatch.setattr(trained, "STEPS", 1)
    images = np.random.default_rng(0).integers(0, 256, (100, 16, 16, 1), np.uint8)
    path = trained.train_once(CLASSES, images, np.arange(100) % 2, "0" * 64, tmp_path)
    assert path.exists()
    assert not trained.UNWRITTEN
