"""Sets of TensorFlow Datasets: builders from real files, and its own mocks of public sets."""

import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from images import decoded, encoded, noise, prepare_config

from keras_sagan.config import Config
from keras_sagan.data.prepared import set_name
from keras_sagan.errors import RunError, UsageError

IMAGES = [noise(20 + i, 30, seed=i) for i in range(12)]


class Base(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES = {"1.2.0": "."}
    FEATURES = {}
    KEYS = None

    def _info(self):
        features = tfds.features.FeaturesDict(self.FEATURES)
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=self.KEYS)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(), "test": self._generate_examples()}

    def _generate_examples(self):
        for i, image in enumerate(IMAGES):
            yield i, self.example(i, image)

    def example(self, i, image):
        raise AssertionError


class SaganLabeled(Base):
    """PNG files, with a label, a second image of no interest, and one more label."""

    FEATURES = {
        "image": tfds.features.Image(encoding_format="png"),
        "a_mask": tfds.features.LabeledImage(labels=2, shape=(None, None, 1)),
        "label": tfds.features.ClassLabel(names=["even", "odd"]),
        "a_label": tfds.features.ClassLabel(num_classes=9),
    }
    KEYS = ("image", "label")

    def example(self, i, image):
        mask = np.zeros((2, 2, 1), np.uint8)
        return {"image": image, "a_mask": mask, "label": i % 2, "a_label": 5}


class SaganUnlabeled(Base):
    """JPEG files under another name."""

    FEATURES = {"photo": tfds.features.Image(encoding_format="jpeg")}

    def example(self, i, image):
        return {"photo": image}


class SaganManual(SaganLabeled):
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Ask the owner for\n photos.zip and put it there."

    def _split_generators(self, dl_manager):
        assert (dl_manager.manual_dir / "photos.zip").exists()
        return {"train": self._generate_examples()}


class SaganOutside(SaganLabeled):
    """Labels of which one is -1, as in test splits that keep them secret."""

    def example(self, i, image):
        return super().example(i, image) | {"label": -1 if i == 7 else 1}


class SaganFailing(SaganLabeled):
    def example(self, i, image):
        raise LookupError("the server has moved")


class SaganFloats(Base):
    FEATURES = {"image": tfds.features.Image(shape=(4, 4, 1), dtype=np.float32)}


class SaganMask(Base):
    FEATURES = {"image": tfds.features.LabeledImage(labels=2, shape=(4, 4, 1))}


@pytest.fixture(scope="module")
def tfds_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("tfds")


def prepared_set(name, tmp_path, tfds_dir, **changes):
    config = {"image_size": 16, "data_dir": str(tmp_path), "tfds_dir": str(tfds_dir)}
    return prepare_config(Config(dataset=name, **config | changes))


def test_labeled_set(tmp_path, tfds_dir):
    prepared = prepared_set("sagan_labeled", tmp_path, tfds_dir)
    assert (tmp_path / "prepared").is_dir()
    assert (tfds_dir / "sagan_labeled").is_dir()
    record = prepared.record
    assert record["classes"] == ["even", "odd"]
    assert record["counts"] == [6, 6]
    assert record["version"] == "1.2.0"
    assert record["source"] == "TFDS builder sagan_labeled/1.2.0"
    expected = {decoded(encoded(image)).tobytes(): i % 2 for i, image in enumerate(IMAGES)}
    found = {
        image.tobytes(): int(label)
        for image, label in zip(prepared.images, prepared.labels, strict=True)
    }
    assert found == expected


def test_unlabeled_set_has_one_class(tmp_path, tfds_dir):
    prepared = prepared_set("sagan_unlabeled:1.2.0", tmp_path, tfds_dir, split="train+test[:50%]")
    assert prepared.record["counts"] == [18]
    assert prepared.record["classes"] == ["sagan_unlabeled"]
    assert prepared.images.std() > 30


def test_set_that_is_built_is_read_without_its_code(tmp_path, tfds_dir):
    SaganLabeled(data_dir=str(tfds_dir)).download_and_prepare()
    (tfds_dir / "sagan_labeled").rename(tfds_dir / "sagan_renamed")
    prepared = prepared_set("sagan_renamed", tmp_path, tfds_dir)
    assert prepared.record["counts"] == [6, 6]


def test_manual_download_gives_the_instructions(tmp_path, tfds_dir):
    manual = tfds_dir / "downloads" / "manual"
    message = (
        rf"(?s)dataset=sagan_manual: Manual directory {manual} .*Ask the owner for\s+photos.zip"
    )
    with pytest.raises(UsageError, match=message):
        prepared_set("sagan_manual", tmp_path, tfds_dir)
    manual.mkdir(parents=True)
    (manual / "photos.zip").write_text("")
    assert prepared_set("sagan_manual", tmp_path, tfds_dir).record["counts"] == [6, 6]


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        ("cifar_10", {}, UsageError, r"Did you mean: cifar10, .*\? Received: cifar_10"),
        ("digit", {}, UsageError, r"Did you mean: digits\? Received: digit$"),
        ("cifar10:9.9.9", {}, UsageError, "cannot be loaded at version 9.9.9, only: 3.0.2"),
        ("cifar10/large", {}, UsageError, "BuilderConfig large not found"),
        ("../escape", {}, UsageError, r"dataset=\.\./escape: .*Parsing builder name string"),
        ("glue", {}, UsageError, "with images of 8 or 16 bits. Received: dataset=glue, with feat"),
        ("sagan_floats", {}, UsageError, "with images of 8 or 16 bits. .* with features image"),
        ("sagan_mask", {}, UsageError, "with images of 8 or 16 bits. .* with features image"),
        ("sagan_labeled", {"split": "dev"}, UsageError, "of train, test of sagan_.* Received: dev"),
        ("sagan_labeled", {"split": "train[:0]"}, UsageError, r"images in split=train\[:0\]"),
        ("cifar10/size=1", {}, UsageError, "dataset=cifar10/size=1: "),
        ("huggingface:mnist", {}, UsageError, "dataset=huggingface:mnist: "),
        (
            "sagan_outside",
            {},
            UsageError,
            r"labels in 0...1 in sagan_outside. Received: -1 at train",
        ),
        ("sagan_failing", {}, RunError, "cannot build sagan_failing: .*the server has moved"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, tfds_dir, name, changes, error, message):
    with pytest.raises(error, match=message):
        prepared_set(name, tmp_path, tfds_dir, **changes)
    assert not list((tmp_path / "prepared").glob("*sagan*"))


@pytest.mark.parametrize(
    "name", ["../sagan_set", "../sagan_set:1.2.0", "{top}/sagan_set", "a/../../sagan_set:1.2.0"]
)
def test_names_do_not_lead_to_sets_elsewhere(tmp_path, tfds_dir, name):
    SaganLabeled(data_dir=str(tfds_dir)).download_and_prepare()
    shutil.copytree(tfds_dir / "sagan_labeled", tmp_path / "sagan_set")
    (tmp_path / "tfds").mkdir()
    with pytest.raises(UsageError, match="Parsing builder name string"):
        prepared_set(name.format(top=tmp_path), tmp_path / "data", tmp_path / "tfds")
    assert prepared_set("sagan_set", tmp_path / "data", tmp_path).record["counts"] == [6, 6]


def test_damaged_files_are_an_error(tmp_path, tfds_dir):
    prepared_set("sagan_labeled", tmp_path, tfds_dir)
    built = tfds_dir / "sagan_labeled" / "1.2.0"
    shutil.copytree(built, tmp_path / "sagan_damaged" / "1.2.0")
    (file,) = (tmp_path / "sagan_damaged" / "1.2.0").glob("*train*")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(RunError, match="TensorFlow Datasets cannot read sagan_damaged: "):
        prepared_set("sagan_damaged", tmp_path, tmp_path)


def test_sets_of_one_name_in_two_places_are_two(tmp_path, tfds_dir):
    names = [
        set_name(Config(dataset="cifar10", tfds_dir=str(place)).image_set)
        for place in (tmp_path, tfds_dir)
    ]
    assert names[0] != names[1]


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [("cifar10", 10, 200), ("celeb_a", 1, 20), ("imagenet2012", 1000, 15)],
)
def test_mocked_public_sets(tmp_path, name, classes, count):
    with tfds.testing.mock_data(num_examples=count):
        prepared = prepared_set(
            name, tmp_path, tmp_path, num_classes=0 if name == "imagenet2012" else -1
        )
    assert prepared.images.shape == (count, 16, 16, 3)
    assert prepared.num_classes == classes
    assert prepared.record["source"].startswith(f"TFDS builder {name}/")
    assert prepared.images.std() > 5
    labels = prepared.labels
    assert 0 <= labels.min() <= labels.max() < classes
