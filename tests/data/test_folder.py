"""Layouts of folders, and what is wrong with others."""

import dataclasses
import errno
import hashlib
import os
import shutil

import numpy as np
import pytest
from images import decoded, encoded, fill, noise, prepare_config

from keras_sagan.config import Config
from keras_sagan.data import prepared as preparation
from keras_sagan.data.report import describe_set
from keras_sagan.errors import RunError, UsageError
from keras_sagan.preprocessing import Preprocessing

pytestmark = pytest.mark.usefixtures("in_process")


def settings(folder, tmp_path, **changes):
    return Config(
        dataset=f"folder:{folder}", image_size=16, data_dir=str(tmp_path / "data"), **changes
    )


def class_counts(prepared):
    return dict(zip(prepared.record["classes"], prepared.record["counts"], strict=True))


def lines_of(prepared):
    return describe_set(prepared.record, Preprocessing(16, 3))


def test_subfolders_are_classes_and_deeper_ones_belong_to_them(tmp_path):
    fill(tmp_path / "pets", ["dogs/a.png", "cats/b.png", "cats/old/c.png", "cats/old/older/d.png"])
    prepared = prepare_config(settings(tmp_path / "pets", tmp_path))
    assert class_counts(prepared) == {"cats": 3, "dogs": 1}
    assert prepared.num_classes == 2
    assert prepared.labels.dtype == np.int32
    np.testing.assert_array_equal(np.bincount(prepared.labels), [3, 1])


def test_folder_without_subfolders_is_one_class(tmp_path):
    fill(tmp_path / "photos", ["a.png", "b.JPG", "c.jpeg"])
    prepared = prepare_config(settings(tmp_path / "photos", tmp_path))
    assert class_counts(prepared) == {"photos": 3}


def test_image_folder_layout_gives_the_split(tmp_path):
    fill(
        tmp_path / "set",
        [
            "train/cats/a.png",
            "train/dogs/b.png",
            "test/cats/c.png",
            "test/dogs/d.png",
            "test/dogs/e.png",
        ],
    )
    train = prepare_config(settings(tmp_path / "set", tmp_path))
    test = prepare_config(settings(tmp_path / "set", tmp_path, split="test"))
    assert class_counts(train) == {"cats": 1, "dogs": 1}
    assert class_counts(test) == {"cats": 1, "dogs": 2}
    assert (train.record["split"], test.record["split"]) == ("train", "test")
    both = prepare_config(settings(tmp_path / "set", tmp_path, split="train+test"))
    assert class_counts(both) == {"cats": 2, "dogs": 3}
    with pytest.raises(UsageError, match="must be one of test, train in .* Received: split=dev"):
        prepare_config(settings(tmp_path / "set", tmp_path, split="dev"))


@pytest.mark.parametrize(
    ("folders", "split"),
    [
        (("train", "val"), "train"),
        (("Training", "Validation", "testing"), "val"),
        (("train",), "train"),
        (("dev", "eval"), "test"),
    ],
)
def test_splits_without_classes_are_splits(folders, split, tmp_path):
    fill(tmp_path / "flat", [f"{name}/{i}.png" for name in folders for i in range(2)])
    prepared = prepare_config(settings(tmp_path / "flat", tmp_path, split=split))
    assert class_counts(prepared) == {"flat": 2}
    assert prepared.record["splits"] == dict.fromkeys(folders, 2)
    if len(folders) > 1:
        said = f"split {split} of "
        assert any(line.startswith(said) for line in lines_of(prepared))


def test_a_stray_image_among_splits_is_no_reason_for_other_classes(tmp_path):
    fill(tmp_path / "set", ["train/stray.png", "train/cats/a.png", "val/cats/b.png"])
    with pytest.raises(UsageError, match=r"not both\. Received: train/stray.png and train/cats/a"):
        prepare_config(settings(tmp_path / "set", tmp_path))


def test_classes_with_names_of_splits_are_a_warning(tmp_path):
    fill(tmp_path / "traffic", ["test/a.png", "car/b.png"])
    lines = lines_of(prepare_config(settings(tmp_path / "traffic", tmp_path)))
    assert "warning: classes with names of splits: test" in lines


@pytest.mark.parametrize(
    ("classes", "ordered"),
    [
        ([str(i) for i in range(12)], [str(i) for i in range(12)]),
        (["a10", "a9", "b1", "a"], ["a", "a9", "a10", "b1"]),
        (["10-x", "9-x", "x", "09"], ["09", "9-x", "10-x", "x"]),
        (["v1.10", "v1.9", "v01.9"], ["v01.9", "v1.9", "v1.10"]),
    ],
)
def test_classes_are_in_natural_order(classes, ordered, tmp_path):
    fill(tmp_path / "set", [f"{name}/a.png" for name in classes])
    prepared = prepare_config(settings(tmp_path / "set", tmp_path))
    assert prepared.record["classes"] == ordered
    names = hashed(f"{name}/a.png" for name in classes)
    assert prepared.labels.tolist() == [ordered.index(name.split("/")[0]) for name in names]


def hashed(names):
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def test_what_is_passed_over_is_counted(tmp_path):
    top = fill(tmp_path / "photos", ["a.png", "b.jpg"])
    for name in ("a.pdf", "b.PDF", "c.svg", "README", "Thumbs.db", "._a.png", "a.tar.xz"):
        (top / name).write_bytes(b"%PDF")
    (top / "no_ending").write_bytes(encoded(noise(9, 9)))
    for folder in ("__MACOSX", "@eaDir", "lost+found", ".ipynb_checkpoints", "$RECYCLE.BIN"):
        fill(top / folder, ["a.png", "b/c.png"])
    prepared = prepare_config(settings(top, tmp_path))
    assert class_counts(prepared) == {"photos": 3}
    assert prepared.record["passed_over"] == {
        ".pdf": 2,
        ".svg": 1,
        ".xz": 1,
        "without extension": 1,
        "Thumbs.db": 1,
        "hidden": 1,
        "hidden/": 1,
        "__MACOSX/": 1,
        "@eaDir/": 1,
        "lost+found/": 1,
        "$RECYCLE.BIN/": 1,
    }
    (line,) = [line for line in lines_of(prepared) if line.startswith("passed over")]
    assert "2 .pdf" in line


def test_junk_is_no_class(tmp_path):
    fill(tmp_path / "pets", ["cats/a.png", "dogs/b.png", "__MACOSX/cats/._a.png", "@eaDir/a.png"])
    prepared = prepare_config(settings(tmp_path / "pets", tmp_path))
    assert class_counts(prepared) == {"cats": 1, "dogs": 1}


def test_links_to_nothing_are_left_out_by_name(tmp_path):
    top = fill(tmp_path / "photos", [f"{i}.png" for i in range(7)])
    for i in range(3):
        (top / f"annexed {i}.jpg").symlink_to(f".git/annex/objects/{i}")
    with pytest.raises(RunError, match=r"Received: 3 of 10: annexed 0.jpg \(broken link to .git"):
        prepare_config(settings(top, tmp_path))
    prepared = prepare_config(settings(top, tmp_path, max_bad_fraction=0.3))
    assert [row["name"] for row in prepared.record["left_out"]] == [
        f"annexed {i}.jpg" for i in range(3)
    ]
    assert any(line.startswith("left out: 3 unreadable") for line in lines_of(prepared))


@pytest.mark.parametrize("name", ["dogs", "dogs/puppies"])
def test_folders_without_permission_are_named(name, tmp_path, monkeypatch):
    files = [f"{folder}/{i}.png" for folder in ("cats", "dogs", "dogs/puppies") for i in range(3)]
    top = fill(tmp_path / "pets", files)
    scandir = os.scandir

    def refuse(path):
        if path == top / name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    config = settings(top, tmp_path)
    if name == "dogs":
        with pytest.raises(
            UsageError, match=r"images: dogs; unreadable: dogs/ \(Permission denied"
        ):
            prepare_config(config)
        return
    with pytest.raises(RunError, match=r"1 of 7: dogs/puppies/ \(Permission denied\)"):
        prepare_config(config)
    prepared = prepare_config(dataclasses.replace(config, max_bad_fraction=0.2))
    assert class_counts(prepared) == {"cats": 3, "dogs": 3}


def test_a_class_that_is_a_link_to_nothing_is_named(tmp_path):
    top = fill(tmp_path / "pets", ["cats/a.png", "cats/b.png"])
    (top / "dogs").symlink_to(tmp_path / "dvc" / "cache")
    with pytest.raises(UsageError, match=r"images: dogs; unreadable: dogs/ \(broken link to "):
        prepare_config(settings(top, tmp_path))


def test_class_that_is_called_train_is_a_class(tmp_path):
    fill(tmp_path / "traffic", ["train/a.png", "car/b.png"])
    assert class_counts(prepare_config(settings(tmp_path / "traffic", tmp_path))) == {
        "car": 1,
        "train": 1,
    }


def test_order_mixes_classes_and_does_not_depend_on_the_place(tmp_path):
    names = [f"{label}/{i}.png" for label in "ab" for i in range(20)]
    first = prepare_config(settings(fill(tmp_path / "x", names), tmp_path))
    shutil.copytree(tmp_path / "x", tmp_path / "y")
    second = prepare_config(settings(tmp_path / "y", tmp_path))
    assert first.record["sha256"] == second.record["sha256"]
    assert 4 < first.labels[:20].sum() < 16
    for image, name in zip(first.images, hashed(names), strict=True):
        np.testing.assert_array_equal(image, decoded(str(tmp_path / "x" / name)))


def test_folder_has_one_name_however_it_is_written(tmp_path, monkeypatch):
    fill(tmp_path / "photos", ["a.png", "b.png"])
    first = prepare_config(settings(tmp_path / "photos", tmp_path)).directory
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("photos", "photos/", "./photos/../photos", "~/photos"):
        assert prepare_config(settings(name, tmp_path)).directory == first
    assert first.name.startswith("photos-16x16x3-")


def test_linked_folders_belong_to_each_class_that_links_them(tmp_path):
    fill(tmp_path / "pets", ["cats/a.png", "dogs/sub/b.png", "dogs/sub/c.png"])
    (tmp_path / "pets" / "cats" / "sub").symlink_to(tmp_path / "pets" / "dogs" / "sub")
    (tmp_path / "pets" / "another").symlink_to(tmp_path / "pets" / "dogs")
    prepared = prepare_config(settings(tmp_path / "pets", tmp_path))
    assert class_counts(prepared) == {"another": 2, "cats": 3, "dogs": 2}


def test_hash_is_of_images_and_labels(tmp_path):
    prepared = prepare_config(settings(fill(tmp_path / "x", ["a/1.png", "b/2.png"]), tmp_path))
    expected = hashlib.sha256(np.array(prepared.images).tobytes())
    expected.update(np.array(prepared.labels).tobytes())
    assert prepared.record["sha256"] == expected.hexdigest()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "dataset must be folder:PATH of a folder. Received: folder:"),
        (["notes.txt"], r"expected image files \(.*\.jpg .*\) in folder:.* Received: 1 .txt"),
        (["a.png", "cats/b.png"], "not both. Received: a.png and cats/b.png"),
        (["cats/a.png", "dogs/notes.txt", "cows/.b.png"], "2 of 3 without images: cows, dogs"),
        (["a.png"], "at least two images in folder:.* Received: one"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, names, message):
    fill(tmp_path / "photos", names)
    with pytest.raises(UsageError, match=message):
        prepare_config(settings(tmp_path / "photos", tmp_path))


def test_class_of_which_every_image_is_broken_is_named(tmp_path):
    fill(tmp_path / "pets", [f"cats/{i}.png" for i in range(9)])
    (tmp_path / "pets" / "dogs").mkdir()
    (tmp_path / "pets" / "dogs" / "a.png").write_bytes(b"")
    config = settings(tmp_path / "pets", tmp_path, max_bad_fraction=0.5)
    with pytest.raises(UsageError, match="1 of 2 without images: dogs"):
        prepare_config(config)
    prepared = prepare_config(dataclasses.replace(config, num_classes=0))
    assert class_counts(prepared) == {"cats": 9, "dogs": 0}


def test_share_of_broken_images_is_of_all(tmp_path):
    fill(tmp_path / "photos", [f"{i}.png" for i in range(9)])
    (tmp_path / "photos" / "broken.png").write_bytes(b"")
    config = settings(tmp_path / "photos", tmp_path, max_bad_fraction=0.099)
    with pytest.raises(RunError, match="1 of 10: broken.png"):
        prepare_config(config)
    assert len(prepare_config(dataclasses.replace(config, max_bad_fraction=0.1)).images) == 9


def test_number_of_classes_is_checked_before_images_are_read(tmp_path, monkeypatch):
    fill(tmp_path / "photos", ["a/1.png", "b/2.png"])
    monkeypatch.delattr(preparation, "write_arrays")
    with pytest.raises(UsageError, match="num_classes must be 2, .* Received: 3"):
        prepare_config(settings(tmp_path / "photos", tmp_path, num_classes=3))
