"""Layouts of folders, and what is wrong with others."""

import dataclasses
import hashlib
import shutil

import numpy as np
import pytest
from images import decoded, encoded, fill, noise, prepare_config

from keras_sagan.config import Config
from keras_sagan.data import prepared as preparation
from keras_sagan.errors import RunError, UsageError


def settings(folder, tmp_path, **changes):
    return Config(
        dataset=f"folder:{folder}", image_size=16, data_dir=str(tmp_path / "data"), **changes
    )


def class_counts(prepared):
    return dict(zip(prepared.record["classes"], prepared.record["counts"], strict=True))


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
    with pytest.raises(UsageError, match="expected set/dev/CLASS/IMAGE; .* Received: split=dev"):
        prepare_config(settings(tmp_path / "set", tmp_path, split="dev"))


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
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    for image, name in zip(first.images, ordered, strict=True):
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
        (["notes.txt"], r"expected image files \(.*\.jpg .*\) in the folder. Received: "),
        (["a.png", "cats/b.png"], "not both. Received: a.png and cats/b.png in "),
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


@pytest.mark.parametrize("change", ["add", "rename", "resize"])
def test_every_change_is_seen(tmp_path, change):
    folder = fill(tmp_path / "photos", ["a.png", "b.png"])
    prepare_config(settings(folder, tmp_path))
    if change == "add":
        (folder / "c.png").write_bytes((folder / "a.png").read_bytes())
    elif change == "rename":
        (folder / "b.png").rename(folder / "c.png")
    else:
        (folder / "b.png").write_bytes(encoded(noise(9, 9)))
    with pytest.raises(UsageError, match="have changed since"):
        prepare_config(settings(folder, tmp_path))


def test_changed_folder_is_refused_until_it_is_prepared_again(tmp_path):
    folder = fill(tmp_path / "photos", ["a.png", "b.png"])
    config = settings(folder, tmp_path)
    old = prepare_config(config)
    held = old.images
    before = np.array(held)
    (folder / "c.png").write_bytes(encoded(noise(20, 24, seed=9)))
    with pytest.raises(UsageError, match="have changed since .* prepare them again with python -m"):
        prepare_config(config)
    new = prepare_config(config, renew=True)
    assert (len(old.images), len(new.images)) == (2, 3)
    assert old.directory.exists()  # Runs that began with it keep it.
    np.testing.assert_array_equal(held, before)  # A trainer may still read it.
    assert len(prepare_config(config).images) == 3
    shutil.rmtree(folder)
    assert len(prepare_config(config).images) == 3
