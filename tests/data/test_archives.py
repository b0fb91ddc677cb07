"""Image sets in ZIP archives, NPZ and IDX files."""

import contextlib
import gzip
import struct
import zipfile

import numpy as np
import pytest
from images import encoded, fill, noise, prepare_config
from PIL import Image

from keras_sagan.config import Config
from keras_sagan.data.versions import open_source
from keras_sagan.errors import RunError, UsageError

pytestmark = pytest.mark.usefixtures("in_process")


def settings(dataset, tmp_path, **changes):
    return Config(dataset=dataset, image_size=16, data_dir=str(tmp_path / "data"), **changes)


def packed(folder, path, prefix=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, prefix + str(file.relative_to(folder)))
    return path


@pytest.mark.parametrize("prefix", ["", "photos/", "my photos/2026/"])
def test_an_archive_is_as_its_folder(prefix, tmp_path):
    top = fill(tmp_path / "pets", ["10/a.png", "9/b.png", "9/old/c.png", "__MACOSX/9/._b.png"])
    (top / "notes.pdf").write_bytes(b"%PDF")
    path = packed(top, tmp_path / "pets.zip", prefix if prefix.count("/") < 2 else "photos/")
    expected = prepare_config(settings(f"folder:{top}", tmp_path))
    found = prepare_config(settings(f"zip:{path}", tmp_path))
    assert found.record["classes"] == ["9", "10"]
    assert found.record["sha256"] == expected.record["sha256"]
    assert found.record["passed_over"] == expected.record["passed_over"]


def test_splits_of_an_archive(tmp_path):
    top = fill(tmp_path / "set", ["train/a.png", "train/b.png", "val/c.png"])
    path = packed(top, tmp_path / "set.zip", "set/")
    found = prepare_config(settings(f"zip:{path}", tmp_path))
    assert (found.record["count"], found.record["splits"]) == (2, {"train": 2, "val": 1})


def test_broken_files_of_an_archive_are_left_out(tmp_path):
    top = fill(tmp_path / "photos", [f"{i}.png" for i in range(8)])
    (top / "text.png").write_text("no image")
    path = packed(top, tmp_path / "photos.zip")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("3.png")
    data[entry.header_offset + 60] ^= 255
    path.write_bytes(data)
    config = settings(f"zip:{path}", tmp_path, max_bad_fraction=0.5)
    found = prepare_config(config)
    assert {row["name"] for row in found.record["left_out"]} == {"text.png", "3.png"}


def test_an_encrypted_file_is_left_out(tmp_path):
    top = fill(tmp_path / "photos", [f"{i}.png" for i in range(3)])
    path = packed(top, tmp_path / "photos.zip")
    data = path.read_bytes()
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(magic) + offset
        data = data[:place] + b"\x01" + data[place + 1 :]
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"1 of 3: 0.png \(encrypted\)"):
        prepare_config(settings(f"zip:{path}", tmp_path))


def zipped(path, files):
    """An archive of `files`, bytes by name, without entries of folders."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


PICTURES = [encoded(noise(20, 24, seed=i)) for i in range(2)]


@pytest.mark.parametrize("prefix", ["./", "/", "./pets/", "pets//", "pets\\"])
def test_names_are_written_in_many_ways(prefix, tmp_path):
    names = (f"{prefix}cats/a.png", f"{prefix}dogs/b.png")
    files = dict(zip(names, PICTURES, strict=True)) | {prefix: b"", ".DS_Store": b""}
    path = zipped(tmp_path / "a.zip", files)
    found = prepare_config(settings(f"zip:{path}", tmp_path))
    assert found.record["classes"] == ["cats", "dogs"]
    assert found.record["passed_over"] == {"hidden": 1}


def test_a_class_of_an_archive_that_has_no_images_is_named(tmp_path):
    names = ("cats/a.png", "cats/b.png")
    files = dict(zip(names, PICTURES, strict=True)) | {"dogs/._a.png": b"", "dogs/a.txt": b""}
    with pytest.raises(UsageError, match="1 of 2 without images: dogs"):
        prepare_config(settings(f"zip:{zipped(tmp_path / 'a.zip', files)}", tmp_path))


def test_a_file_that_cannot_be_unpacked_is_no_class(tmp_path):
    names = ("cats/a.png", "dogs/b.png")
    path = zipped(tmp_path / "a.zip", dict(zip(names, PICTURES, strict=True)) | {"README": b"a"})
    data = bytearray(path.read_bytes())
    for start, offset in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        data[data.rindex(start) + offset] = 9  # The method deflate64.
    path.write_bytes(data)
    found = prepare_config(settings(f"zip:{path}", tmp_path, max_bad_fraction=0.5))
    assert found.record["classes"] == ["cats", "dogs"]
    assert found.record["left_out"][0]["name"] == "README"


def test_names_that_cannot_be_decoded_are_one_line(tmp_path):
    path = zipped(tmp_path / "a.zip", {"é.png": PICTURES[0]})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff"))
    with pytest.raises(UsageError, match="of a ZIP archive. Received: .* codec can't decode"):
        prepare_config(settings(f"zip:{path}", tmp_path))


def test_classes_may_be_very_long_numbers(tmp_path):
    names = (f"{'9' * 5000}/a.png", "10/b.png")
    path = zipped(tmp_path / "a.zip", dict(zip(names, PICTURES, strict=True)))
    found = prepare_config(settings(f"zip:{path}", tmp_path))
    assert found.record["classes"] == ["10", "9" * 5000]


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 and no more"])
def test_what_is_no_archive_is_one_line(content, tmp_path):
    path = tmp_path / "a.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"dataset must be zip:PATH of a ZIP archive\. Received"):
        prepare_config(settings(f"zip:{path}", tmp_path))


def test_a_changed_archive_is_noticed(tmp_path):
    top = fill(tmp_path / "photos", ["a.png", "b.png"])
    config = settings(f"zip:{packed(top, tmp_path / 'photos.zip')}", tmp_path)
    before = prepare_config(config).directory
    packed(top, tmp_path / "photos.zip")  # The same bytes, at another time.
    assert prepare_config(config).directory == before
    fill(top, ["c.png"])
    packed(top, tmp_path / "photos.zip")
    with pytest.raises(UsageError, match=r"have changed since .* 1 changed, e.g. photos\.zip"):
        prepare_config(config)
    assert prepare_config(config, renew=True).record["count"] == 3


IMAGES = np.stack([noise(16, 16, seed=i) for i in range(6)])


def as_sorted(images):
    return sorted(image.tobytes() for image in images)


@pytest.mark.parametrize(
    ("arrays", "classes"),
    [
        ({"images": IMAGES}, ["a.npz"]),
        ({"images": IMAGES, "labels": [0, 1, 2, 0, 1, 2]}, ["0", "1", "2"]),
        (
            {"images": IMAGES, "labels": np.array([[0]] * 5 + [[1]]), "class_names": ["猫", "dog"]},
            ["猫", "dog"],
        ),
        ({"images": IMAGES, "labels": np.zeros(6, np.uint8), "class_names": [b"a"]}, ["a"]),
    ],
)
def test_arrays_are_prepared(arrays, classes, tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = prepare_config(settings(f"npz:{tmp_path / 'a.npz'}", tmp_path))
    assert found.record["classes"] == classes
    assert as_sorted(found.images) == as_sorted(IMAGES)
    labels = np.ravel(arrays.get("labels", np.zeros(6, int)))
    for image, label in zip(found.images, found.labels, strict=True):
        (i,) = [i for i in range(6) if np.array_equal(IMAGES[i], image)]
        assert labels[i] == label


@pytest.mark.parametrize("shape", [(6, 16, 16), (6, 16, 16, 1), (6, 16, 16, 4)])
def test_arrays_of_all_channels_are_read(shape, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.savez(tmp_path / "a.npz", images=images)
    config = settings(f"npz:{tmp_path / 'a.npz'}", tmp_path, image_channels=1)
    found = prepare_config(config)
    expected = images
    if shape[3:] == (4,):
        white = Image.new("RGBA", (16, 16), "white")
        flat = [Image.alpha_composite(white, Image.fromarray(image)) for image in images]
        expected = np.stack([np.asarray(image.convert("RGB").convert("L")) for image in flat])
    assert as_sorted(found.images) == as_sorted(expected)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": IMAGES}, "which has x_train"),
        ({}, "which has nothing"),
        ({"images": IMAGES.astype(np.float32)}, r"Received: float32 \[6, 16, 16, 3\]"),
        ({"images": IMAGES.transpose(0, 3, 1, 2)}, r"Received: uint8 \[6, 3, 16, 16\]"),
        ({"images": IMAGES[:0]}, r"Received: uint8 \[0, 16, 16, 3\]"),
        ({"images": IMAGES, "labels": [0, 1]}, r"as 6 ints, from 0 .* Received: int64 \[2\]"),
        ({"images": IMAGES, "labels": [0.0] * 6}, r"Received: float64 \[6\]"),
        ({"images": IMAGES, "labels": [-1] * 6}, r"\[6\], from -1 to -1"),
        ({"images": IMAGES, "labels": [0, 2] * 3}, r"1 of 3 without images: 1"),
        ({"images": IMAGES, "labels": [0, 1] * 3, "class_names": ["a"]}, "up to 1 .* Received: 1"),
        ({"images": IMAGES, "labels": [0, 2**40] * 3}, "below 1,048,576, .* to 1099511627776"),
        ({"images": np.array([None] * 6)}, "Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError, match=message):
        prepare_config(settings(f"npz:{tmp_path / 'a.npz'}", tmp_path))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_what_is_no_npz_file_is_one_line(content, tmp_path):
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UsageError, match="dataset must be npz:PATH of a file with images"):
        prepare_config(settings(f"npz:{tmp_path / 'a.npz'}", tmp_path))


def test_other_arrays_of_an_npz_file_do_not_matter(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, authors=np.array([None, "me"]))
    assert prepare_config(settings(f"npz:{tmp_path / 'a.npz'}", tmp_path)).record["count"] == 6


def test_an_npy_file_is_one_line(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    with pytest.raises(UsageError, match="dataset must be npz:PATH of a file with images"):
        prepare_config(settings(f"npz:{tmp_path / 'a.npy'}", tmp_path))


@pytest.mark.parametrize("kind", ["npz", "idx"])
def test_damaged_arrays_are_one_line(kind, tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=IMAGES)
    (tmp_path / "idx").mkdir()
    write_idx(tmp_path / "idx" / "train-images-idx3-ubyte.gz", IMAGES[..., 0])
    name = {"npz": "a.npz", "idx": "idx"}[kind]
    path = tmp_path / name if kind == "npz" else next((tmp_path / name).iterdir())
    whole = path.read_bytes()
    for place in range(10, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with contextlib.suppress(UsageError):  # Some damage is not noticed.
            open_source(settings(f"{kind}:{tmp_path / name}", tmp_path).image_set)


def write_idx(path, array, kind=8):
    data = struct.pack(">HBB", 0, kind, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    data += array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture(
    params=["train-{}-idx{}-ubyte.gz", "train-{}.idx{}-ubyte", "emnist-x-train-{}-idx{}-ubyte"]
)
def idx(tmp_path, request):
    """A folder like MNIST's: 40 images in train and 10 in test, which is called t10k."""
    folder, numbers = tmp_path / "mnist", np.random.default_rng(0)
    folder.mkdir()
    for split, count in (("train", 40), ("t10k", 10)):
        for kind, shape in (("images", (count, 16, 16)), ("labels", (count,))):
            array = numbers.integers(0, 256, shape, np.uint8)
            array = array if kind == "images" else np.arange(count, dtype=np.uint8) % 10
            name = request.param.format(kind, array.ndim).replace("train", split)
            write_idx(folder / name, array)
    return folder


def test_idx_files_are_read_by_split(idx, tmp_path):
    counts = {}
    for split in ("train", "test", "train+test"):
        config = settings(f"idx:{idx}", tmp_path, split=split, image_channels=1)
        counts[split] = prepare_config(config).record["count"]
    assert counts == {"train": 40, "test": 10, "train+test": 50}
    assert prepare_config(config).record["classes"] == [str(i) for i in range(10)]
    for example in open_source(config.image_set).examples():
        assert example.label == int(example.name.split("[")[1][:-1]) % 10
    with pytest.raises(UsageError, match="split must be test or train, .* Received: val"):
        prepare_config(settings(f"idx:{idx}", tmp_path, split="val"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "index out of range"),
        (b"\0\0\x08\x03\0", "cannot reshape|buffer"),
        (b"\0\0\x0d\x03" + b"\0" * 12, "begins with 00000d03"),
    ],
)
def test_broken_idx_files_are_one_line(content, message, tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(UsageError, match=f"expected an IDX file of uint8.*({message})"):
        prepare_config(settings(f"idx:{tmp_path}", tmp_path))


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_folder_without_idx_files_is_one_line(folder, tmp_path):
    with pytest.raises(UsageError, match=r"dataset must be idx:PATH of a folder with SPLIT-images"):
        prepare_config(settings(f"idx:{tmp_path / folder}", tmp_path))


def test_labels_of_one_of_two_splits_are_one_line(tmp_path):
    for split in ("train", "t10k"):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte", IMAGES[..., 0])
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.arange(6, dtype=np.uint8) % 2)
    with pytest.raises(UsageError, match=r"labels of every split .* Received: none of test"):
        prepare_config(settings(f"idx:{tmp_path}", tmp_path, split="train+test"))
    found = prepare_config(settings(f"idx:{tmp_path}", tmp_path, split="test"))
    assert found.record["classes"] == [tmp_path.name]


def test_a_folder_of_two_sets_is_one_line(idx, tmp_path):
    first = next(idx.iterdir())
    (idx / first.name).rename(idx / f"other-{first.name}")
    write_idx(idx / f"another-{first.name}", IMAGES[..., 0])
    with pytest.raises(UsageError, match="of one set. Received: another-.* and other-"):
        prepare_config(settings(f"idx:{idx}", tmp_path))


def test_a_file_comes_before_its_compressed_form(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES[..., 0])
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"broken")
    found = prepare_config(settings(f"idx:{tmp_path}", tmp_path, image_channels=1))
    assert as_sorted(found.images) == as_sorted(IMAGES[..., 0])
