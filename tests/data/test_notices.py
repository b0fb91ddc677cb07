"""What users are told about the images that were prepared, and what the record says."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from images import encoded, noise

from keras_sagan.config import Config
from keras_sagan.data.notices import add_notes, describe_notices
from keras_sagan.data.prepared import set_name
from keras_sagan.data.source import Example, ImageSource
from keras_sagan.data.stamps import NO_FILES, SourceFiles, Stamp, read_recorded
from keras_sagan.data.write import write_arrays
from keras_sagan.errors import RunError
from keras_sagan.preprocessing import Preprocessing

CONFIG = Config(dataset="folder:/photos", image_size=16)


def lines(count=10, settings=None, **noticed):
    return describe_notices(noticed, count, Preprocessing(16, 3, **settings or {}))


def test_nothing_special_is_not_worth_a_line():
    assert lines() == lines(not_square=5) == lines(sixteen_bit=3, highest_level=16384) == []
    assert lines(sixteen_bit=1, highest_level=0) == []


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "--fit=crop keeps their central squares; see --fit and --crop_at"),
        ({"crop_at": "top"}, "--fit=crop keeps one square of each, placed by --crop_at=top"),
        ({"fit": "pad"}, "--fit=pad adds borders in white"),
        ({"fit": "stretch"}, "--fit=stretch distorts them"),
    ],
)
def test_shape_of_most_images(settings, text):
    (line,) = lines(1500, settings, not_square=1234)
    assert line.startswith(f"1,234 of 1,500 images are not square: {text}")


@pytest.mark.parametrize(
    ("highest", "white"), [(4095, 4095), (4000, 4095), (1023, 1023), (9000, 16383), (1, 1)]
)
def test_dark_images_of_16_bits(highest, white):
    (line,) = lines(sixteen_bit=12, highest_level=highest)
    assert line == (
        f"no value of 12 images of 16 bits is above {white:,}: they come out dark without "
        f"--white_level={white}"
    )
    assert lines(settings={"white_level": white}, sixteen_bit=12, highest_level=highest) == []


def test_values_above_white():
    (line,) = lines(settings={"white_level": 4095}, sixteen_bit=1, highest_level=5000)
    assert line.startswith(
        "the values of 1 image of 16 bits reach 5,000: those above --white_level"
    )


def test_dark_colors_of_16_bits_are_named_without_a_flag():
    dark, counted = lines(sixteen_bit_color=2, highest_upper_byte=15)
    assert "2 images with 16 bits per color is above 4,095: they come out dark" in dark
    assert "white_level" not in dark
    assert lines(sixteen_bit_color=2, highest_upper_byte=255) == [counted]


def test_counts():
    found = lines(transparent=1, animated=3, reduced=2, converted=5, bad_profile=1)
    assert found == [
        "transparent parts of 1 image become white; see --background",
        "only the first frame or page of 3 images is used",
        "the height and width of 2 images above --max_megapixels=90 were halved",
        "the colors of 5 images were converted from their profiles to sRGB",
        "broken color profiles were ignored in 1 image",
    ]


def test_notes_add_up():
    noticed = {}
    for each in (
        {"sixteen_bit": 1, "highest_level": 9},
        {},
        {"sixteen_bit": 1, "highest_level": 7},
    ):
        add_notes(noticed, each)
    assert noticed == {"sixteen_bit": 2, "highest_level": 9}


def source(payloads, count=None, left_out=(), files=NO_FILES):
    examples = [Example(name, payload, 0) for name, payload in payloads.items()]
    record = {"source": "test"}
    return ImageSource(record, ("a",), count, lambda: examples, left_out, files)


def test_record_has_counts_and_hashes(tmp_path):
    names = ("a.png", "b", "c")
    files = [encoded(noise(20, 24, seed=i)) for i in range(2)]
    (tmp_path / "a.png").write_bytes(files[0])
    payloads = [str(tmp_path / "a.png"), files[1], noise(16, 16)]
    stamps = SourceFiles(tmp_path, {}, dict.fromkeys(names[:2], Stamp(1, 2)))
    images = source(dict(zip(names, payloads, strict=True)), files=stamps)
    write_arrays(images, CONFIG.image_set, 0.5, tmp_path / "set")
    record = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert record["noticed"] == {"not_square": 2}
    expected = [hashlib.sha256(file).hexdigest() for file in files]
    recorded = read_recorded(tmp_path / "set")
    assert recorded.hashes == dict(zip(names[:2], expected, strict=True))


def test_arrays_have_no_hashes(tmp_path):
    write_arrays(source({"a": noise(9, 9)}), CONFIG.image_set, 0.0, tmp_path / "set")
    assert not (tmp_path / "set" / "files.json").exists()
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["noticed"] == {}


LOST = ({"name": "a", "reason": "no permission"}, {"name": "b", "reason": "gone"})


def test_too_many_files_that_cannot_be_opened_end_preparation_before_it_begins(tmp_path):
    images = source({str(i): b"" for i in range(8)}, 8, LOST)
    expected = r"at most 10\.0% .* Received: 2 of 10: a \(no permission\); b \(gone\)$"
    with pytest.raises(RunError, match=expected):
        write_arrays(images, CONFIG.image_set, 0.1, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("count", [2, None])
def test_files_that_cannot_be_opened_count_with_those_that_are_broken(tmp_path, count):
    images = source({"c": noise(9, 9), "d": b""}, count, LOST[:1])
    with pytest.raises(RunError, match=r"Received: 2 of 3: a \(no permission\); d \("):
        write_arrays(images, CONFIG.image_set, 0.4, tmp_path / "set")
    write_arrays(images, CONFIG.image_set, 0.7, tmp_path / "other")
    left_out = json.loads((tmp_path / "other" / "dataset.json").read_text())["left_out"]
    assert [row["name"] for row in left_out] == ["a", "d"]
    assert np.load(tmp_path / "other" / "images.npy", allow_pickle=False).shape == (1, 16, 16, 3)


def test_names_of_sets_depend_on_what_changes_pixels():
    name = set_name(CONFIG.image_set)
    assert name == "photos-16x16x3-9e548f7b"
    other = dataclasses.replace(CONFIG, max_megapixels=200.0)
    assert set_name(other.image_set) != name
    changes = [{"fit": "pad"}, {"crop_at": "top"}, {"background": "black"}, {"white_level": 4095}]
    names = {set_name(dataclasses.replace(CONFIG, **each).image_set) for each in changes}
    assert len(names | {name}) == 5
